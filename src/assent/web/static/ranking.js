// A person's order of K completions while it comes to be. Slots are numbered 0..K-1 as they are shown; groups run from
// best to worst, and slots in one group are alike. Nothing is placed at first.

export class Ranking {
  constructor(count, { best = false } = {}) {
    this.count = count;
    this.best = best;  // only the best one is asked for
    this.groups = [];
    this.joining = false;  // the next slot joins the last group
  }

  static from(count, options, groups) {
    const ranking = new Ranking(count, options);
    const slots = (groups ?? []).flat();
    const whole = slots.every((slot) => Number.isInteger(slot) && slot >= 0 && slot < count) && new Set(slots).size === slots.length;
    if (whole) ranking.groups = (groups ?? []).map((group) => [...group]).filter((group) => group.length);
    return ranking;
  }

  /** From ranks by slot, 1 best, equal numbers alike. */
  static fromRanks(ranks, options) {
    const numbers = [...new Set(ranks)].sort((a, b) => a - b);
    const groups = numbers.map((number) => ranks.flatMap((rank, slot) => (rank === number ? [slot] : [])));
    return Ranking.from(ranks.length, options, options?.best ? groups.slice(0, 1) : groups);
  }

  placed(slot) { return this.groups.some((group) => group.includes(slot)); }

  get left() { return [...Array(this.count).keys()].filter((slot) => !this.placed(slot)); }

  get complete() { return this.best ? this.groups.length === 1 : this.left.length === 0; }

  /** Put a slot at the end, or into the last group after `join`. False where it stands already. */
  place(slot) {
    if (slot < 0 || slot >= this.count) return false;
    if (this.best) { this.groups = [[slot]]; return true; }
    if (this.placed(slot)) return false;
    if (this.joining && this.groups.length) this.groups.at(-1).push(slot);
    else this.groups.push([slot]);
    this.joining = false;
    return true;
  }

  join() {
    if (this.best || !this.groups.length || !this.left.length) return false;
    this.joining = !this.joining;
    return true;
  }

  back() {
    if (this.joining) { this.joining = false; return true; }
    const last = this.groups.at(-1);
    if (!last) return false;
    last.pop();
    if (!last.length) this.groups.pop();
    return true;
  }

  remove(slot) {
    this.groups = this.groups.map((group) => group.filter((other) => other !== slot)).filter((group) => group.length);
    this.joining = false;
  }

  /** Move a slot into the order: before the group at `place`, or `into` that group. */
  move(slot, place, into = false) {
    if (this.best) { this.groups = [[slot]]; return; }
    const target = this.groups[place];
    this.groups = this.groups.map((group) => group.filter((other) => other !== slot));
    if (into && target && this.groups[place]) this.groups[place].push(slot);
    else this.groups.splice(Math.min(place, this.groups.length), 0, [slot]);
    this.groups = this.groups.filter((group) => group.length);
    this.joining = false;
  }

  /** Ranks by slot, 1 best, equal numbers alike, as 1, 2, 2, 4; of a best-of-K 1 and 2s. Null while incomplete. */
  ranks() {
    if (!this.complete) return null;
    const ranks = Array(this.count).fill(this.best ? 2 : 0);
    let rank = 1;
    for (const group of this.groups) {
      group.forEach((slot) => { ranks[slot] = rank; });
      rank += group.length;
    }
    return ranks;
  }

  /** The rank at which a slot stands so far, or null. */
  rankOf(slot) {
    let rank = 1;
    for (const group of this.groups) {
      if (group.includes(slot)) return { rank, alike: group.length > 1 };
      rank += group.length;
    }
    return null;
  }

  /** Whether it is just the order in which the completions were shown. */
  get asShown() { return !this.best && this.count > 2 && this.groups.length === this.count && this.groups.every(([slot], place) => slot === place); }
}

/** "1st", "2nd" … with "=" where several share it. */
export function ordinal({ rank, alike }) {
  return `${rank}${["st", "nd", "rd"][rank - 1] ?? "th"}${alike ? " =" : ""}`;
}
