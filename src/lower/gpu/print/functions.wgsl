fn m_power(n: f32) -> f32 {
  return bitcast<f32>(u32(i32(n) + 127) << 23u);
}

fn m_expm(r: f32) -> f32 {
  let p = (((0.0013814589f * r + 0.0083687166f) * r + 0.041668389f) * r + 0.16666521f) * r + 0.49999994f;
  return p * (r * r) + r;
}

fn m_exp(a: f32) -> f32 {
  let b = select(a, -104.0f, a < -104.0f);
  let x = select(b, 89.0f, b > 89.0f);
  let n = round(x * 1.442695f);
  let r = (x - n * 0.693359375f) - n * -0.00021219444f;
  let h = round(n * 0.5f);
  return ((m_expm(r) + 1.0f) * m_power(h)) * m_power(n - h);
}

fn m_log(x: f32) -> f32 {
  let tiny = x < 1.17549435e-38f;
  let u = bitcast<u32>(select(x, x * 8388608.0f, tiny));
  let m = bitcast<f32>((u & 0x007fffffu) | 0x3f000000u);
  let low = m < 0.70710677f;
  let e = f32(i32(u >> 23u)) - select(126.0f, 149.0f, tiny) - select(0.0f, 1.0f, low);
  let f = select(m, m + m, low) - 1.0f;
  var p = 0.067481525f * f - 0.11677851f;
  p = p * f + 0.11888703f;
  p = p * f - 0.12405287f;
  p = p * f + 0.14219443f;
  p = p * f - 0.16668008f;
  p = p * f + 0.20002124f;
  p = p * f - 0.25000009f;
  p = p * f + 0.33333313f;
  let s = f * f;
  let y = (e * -0.00021219444f + p * f * s) - 0.5f * s;
  var z = e * 0.693359375f + (f + y);
  if (x < 0.0f) { z = m_bits(0x7fc00000u); }
  if (!(x < m_bits(0x7f800000u))) { z = x; }
  if (x == 0.0f) { z = m_bits(0xff800000u); }
  return z;
}

fn m_tanh(x: f32) -> f32 {
  let size = abs(x);
  let twice = select(size + size, 20.0f, size > 10.0f);
  let n = round(twice * 1.442695f);
  let r = (twice - n * 0.693359375f) - n * -0.00021219444f;
  let s = m_power(n);
  let m = s * m_expm(r) + (s - 1.0f);
  let y = m / (m + 2.0f);
  return bitcast<f32>(bitcast<u32>(y) | (bitcast<u32>(x) & 0x80000000u));
}

fn m_sin(x: f32) -> f32 {
  let n = round(x * 0.31830987f);
  let r = ((x - n * 3.140625f) - n * 0.00096750259f) - n * 1.50995788e-7f;
  let z = r * r;
  let p = (((-2.3846626e-8f * z + 2.7522615e-6f) * z - 0.00019840804f) * z + 0.00833333f) * z - 0.16666667f;
  let y = p * z * r + r;
  let odd = n - 2.0f * floor(n * 0.5f);
  return y * (1.0f - 2.0f * odd);
}
