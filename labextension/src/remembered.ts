/**
 * The notebooks that had the extension loaded.
 */

/** What we need of JupyterLab's state database. */
export interface StateStore {
  fetch(id: string): Promise<unknown>;
  save(id: string, value: { paths: string[] }): Promise<unknown>;
}

const KEY = 'bgdl-jupyter:notebooks';
const MAX_PATHS = 500;

/** Their paths, the latest last; kept in the state database, for each user apart. */
export class RememberedNotebooks {
  constructor(private readonly _store: StateStore | null) {
    this.ready = this._read();
  }

  /** Resolved when what was stored is known. */
  readonly ready: Promise<void>;

  has(path: string): boolean {
    return this._paths.includes(path);
  }

  add(path: string): void {
    if (this._paths[this._paths.length - 1] !== path) {
      this._write([...this._paths.filter(each => each !== path), path].slice(-MAX_PATHS));
    }
  }

  rename(before: string, after: string): void {
    if (this.has(before) && before !== after) {
      this._write([...this._paths.filter(each => each !== before && each !== after), after]);
    }
  }

  forget(path: string): void {
    if (this.has(path)) {
      this._write(this._paths.filter(each => each !== path));
    }
  }

  private async _read(): Promise<void> {
    const stored = (await this._store?.fetch(KEY)) as { paths?: unknown } | undefined;
    const paths = Array.isArray(stored?.paths) ? stored.paths : [];
    const known = paths.filter((each): each is string => typeof each === 'string');
    this._paths = [...known.filter(each => !this._paths.includes(each)), ...this._paths];
  }

  private _write(paths: string[]): void {
    this._paths = paths;
    void this._store?.save(KEY, { paths });
  }

  private _paths: string[] = [];
}
