static Entry entry_now;
static float *m0_now, *m1_now;
static const Begins *begins_now;

static void enter() {
  entry_now(m0_now, m1_now, *begins_now);
  coroutines[current].done = true;
}

static void launch(Entry entry, unsigned groups, unsigned threads, bool barriers, float *m0, float *m1,
                   const Begins *begins) {
  entry_now = entry, m0_now = m0, m1_now = m1, begins_now = begins;
  // Two rows of groups, so that the last may not exist.
  gridDim.x = groups > 1 ? (groups + 1) / 2 : 1, gridDim.y = groups > 1 ? 2 : 1;
  for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
      if (!barriers) {
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) entry(m0, m1, *begins);
        continue;
      }
      for (unsigned t = 0; t < threads; t++) {
        Coroutine &c = coroutines[t];
        if (!c.stack) c.stack = (char *)malloc(STACK);
        getcontext(&c.context);
        c.context.uc_stack.ss_sp = c.stack, c.context.uc_stack.ss_size = STACK, c.context.uc_link = &turn;
        c.done = false;
        makecontext(&c.context, enter, 0);
      }
      for (bool any = true; any;) {
        any = false;
        for (unsigned t = 0; t < threads; t++) {
          if (coroutines[t].done) continue;
          current = t, threadIdx.x = t, any = true;
          swapcontext(&turn, &coroutines[t].context);
        }
      }
    }
  }
}
