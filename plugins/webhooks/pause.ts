import type { Clock } from "../../core/mod.ts";

/** A pause that can be ended early. */
export class Pause {
  #end: (() => void) | undefined;

  /** Waits for a time, or until the end of the pause. */
  wait(clock: Clock, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => this.end());
      this.#end = () => {
        cancel();
        resolve();
      };
    });
  }

  end(): void {
    const end = this.#end;
    this.#end = undefined;
    end?.();
  }
}
