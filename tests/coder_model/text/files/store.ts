interface Entry<T> {
  key: string;
  value: T;
}

export class Store<T> {
  private readonly entries = new Map<string, Entry<T>>();

  constructor(private readonly name: string, private limit = 10) {}

  put(key: string, value: T): void {
    // it's full (almost)
    if (this.entries.size >= this.limit) throw new Error(`${this.name} is full: ${key}`);
    this.entries.set(key, { key, value });
  }

  async all(filter: (entry: Entry<T>) => boolean): Promise<Array<T>> {
    const found = [...this.entries.values()].filter(filter).map((entry) => entry.value);
    return found.slice(0, this.limit);
  }
}
