__device__ static float m_power(float n) {
  return __uint_as_float((unsigned)((int)n + 127) << 23u);
}

__device__ static float m_expm(float r) {
  const float p = (((0.0013814589f * r + 0.0083687166f) * r + 0.041668389f) * r + 0.16666521f) * r + 0.49999994f;
  return p * (r * r) + r;
}

__device__ static float m_exp(float a) {
  const float b = (a < -104.0f ? -104.0f : a);
  const float x = (b > 89.0f ? 89.0f : b);
  const float n = rintf(x * 1.442695f);
  const float r = (x - n * 0.693359375f) - n * -0.00021219444f;
  const float h = rintf(n * 0.5f);
  return ((m_expm(r) + 1.0f) * m_power(h)) * m_power(n - h);
}

__device__ static float m_log(float x) {
  const bool tiny = x < 1.17549435e-38f;
  const unsigned u = __float_as_uint((tiny ? x * 8388608.0f : x));
  const float m = __uint_as_float((u & 0x007fffffu) | 0x3f000000u);
  const bool low = m < 0.70710677f;
  const float e = (float)(int)(u >> 23u) - (tiny ? 149.0f : 126.0f) - (low ? 1.0f : 0.0f);
  const float f = (low ? m + m : m) - 1.0f;
  float p = 0.067481525f * f - 0.11677851f;
  p = p * f + 0.11888703f;
  p = p * f - 0.12405287f;
  p = p * f + 0.14219443f;
  p = p * f - 0.16668008f;
  p = p * f + 0.20002124f;
  p = p * f - 0.25000009f;
  p = p * f + 0.33333313f;
  const float s = f * f;
  const float y = (e * -0.00021219444f + p * f * s) - 0.5f * s;
  float z = e * 0.693359375f + (f + y);
  if (x < 0.0f) { z = m_bits(0x7fc00000u); }
  if (!(x < m_bits(0x7f800000u))) { z = x; }
  if (x == 0.0f) { z = m_bits(0xff800000u); }
  return z;
}

__device__ static float m_tanh(float x) {
  const float size = fabsf(x);
  const float twice = (size > 10.0f ? 20.0f : size + size);
  const float n = rintf(twice * 1.442695f);
  const float r = (twice - n * 0.693359375f) - n * -0.00021219444f;
  const float s = m_power(n);
  const float m = s * m_expm(r) + (s - 1.0f);
  const float y = m / (m + 2.0f);
  return __uint_as_float(__float_as_uint(y) | (__float_as_uint(x) & 0x80000000u));
}

__device__ static float m_sin(float x) {
  const float n = rintf(x * 0.31830987f);
  const float r = ((x - n * 3.140625f) - n * 0.00096750259f) - n * 1.50995788e-7f;
  const float z = r * r;
  const float p = (((-2.3846626e-8f * z + 2.7522615e-6f) * z - 0.00019840804f) * z + 0.00833333f) * z - 0.16666667f;
  const float y = p * z * r + r;
  const float odd = n - 2.0f * floorf(n * 0.5f);
  return y * (1.0f - 2.0f * odd);
}
