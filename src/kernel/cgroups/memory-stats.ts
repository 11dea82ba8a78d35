/**
 * The names under which Docker shows the kernel's memory numbers, in both versions of cgroups (Engine API,
 * `ContainerMemoryStats.stats`).
 * Pure.
 */

const own =
  "active_anon active_file cache dirty inactive_anon inactive_file mapped_file pgfault pgmajfault pgpgin pgpgout rss rss_huge unevictable writeback".split(
    " ",
  );
const namesV1 = [
  ...own,
  "hierarchical_memory_limit",
  "hierarchical_memsw_limit",
  ...own.map((name) => `total_${name}`),
].sort();

const namesV2 =
  "active_anon active_file anon anon_thp file file_dirty file_mapped file_writeback inactive_anon inactive_file kernel_stack pgactivate pgdeactivate pgfault pglazyfree pglazyfreed pgmajfault pgrefill pgscan pgsteal shmem slab slab_reclaimable slab_unreclaimable sock thp_collapse_alloc thp_fault_alloc unevictable workingset_activate workingset_nodereclaim workingset_refault".split(
    " ",
  );

export function memoryStatsV1(stat: ReadonlyMap<string, number>): Record<string, number> {
  return pick(namesV1, stat);
}

/** Newer kernels count refaults and activations of pages by kind; Docker's numbers are their sums. */
export function memoryStatsV2(stat: ReadonlyMap<string, number>): Record<string, number> {
  const split = (name: string) => (stat.get(`${name}_anon`) ?? 0) + (stat.get(`${name}_file`) ?? 0);
  const sums = new Map(stat);
  for (const name of ["workingset_refault", "workingset_activate"])
    if (!stat.has(name)) sums.set(name, split(name));
  return pick(namesV2, sums);
}

function pick(names: readonly string[], stat: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, stat.get(name) ?? 0]));
}
