// Bounded waits. Nothing here sleeps to let things settle: a wait ends with
// the event it waits for, or fails and says what never came.

/** How long anything may take on a busy machine, in ms. */
export const PATIENCE = 15_000;

/** Settles as promise does, or rejects with what was waited for. */
export async function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with the arguments of the emitter's next event. */
export function next(emitter, event, what = `event ${event}`) {
  return within(new Promise((resolve) => emitter.once(event, (...args) => resolve(args))), what);
}

/**
 * Asks until the answer is truthy and resolves with it. For a state that is
 * reached some time after the call that asked for it and announces nothing.
 */
export async function until(ask, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
