/**
 * The rates of the last minute or so, and their picture.
 */

/** At most `size` samples, one per `interval` milliseconds. */
export class RateHistory {
  constructor(
    private readonly size = 60,
    private readonly interval = 1000
  ) {}

  get samples(): readonly number[] {
    return this._samples;
  }

  /** Take in a rate; several within one interval count once, the last. */
  add(rate: number, now: number): void {
    if (this._samples.length > 0 && now - this._sampledAt < this.interval) {
      this._samples[this._samples.length - 1] = rate;
      return;
    }
    this._sampledAt = now;
    this._samples.push(rate);
    if (this._samples.length > this.size) {
      this._samples.shift();
    }
  }

  private _samples: number[] = [];
  private _sampledAt = 0;
}

/** Return the points of a polyline, newest at the right edge, zero at the bottom. */
export function plotPoints(samples: readonly number[], width: number, height: number, size = 60): string {
  const top = Math.max(...samples, 1);
  const step = width / Math.max(1, size - 1);
  const left = width - (samples.length - 1) * step;
  return samples
    .map((rate, index) => `${round(left + index * step)},${round(height - (rate / top) * height)}`)
    .join(' ');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
