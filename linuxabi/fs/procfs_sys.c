/* SPDX-License-Identifier: MIT */
/*
 * What /proc says about the system, in Linux's formats (proc(5)): memory, CPUs,
 * load, mounts' types, limits.
 */
#include <linux/utsname.h>
#include "internal.h"

enum { HZ = 100 };

static uint64_t kib(uint64_t pages) { return pages << (PAGE_SHIFT - 10); }

/* ---- memory ---- */

static long
show_meminfo(struct seq *s, void *arg)
{
	uint64_t total = pages_total(), free = pages_free_count(), cached = pages_cached();
	uint64_t slab = pages_slab(), anon = pages_anon(), tables = pages_tables();

	(void)arg;
	/* Everything in the page cache is tmpfs's: it cannot be reclaimed. */
	seq_printf(s, "MemTotal:       %8lu kB\n", (unsigned long)kib(total));
	seq_printf(s, "MemFree:        %8lu kB\n", (unsigned long)kib(free));
	seq_printf(s, "MemAvailable:   %8lu kB\n", (unsigned long)kib(free));
	seq_printf(s, "Buffers:        %8lu kB\n", 0UL);
	seq_printf(s, "Cached:         %8lu kB\n", (unsigned long)kib(cached));
	seq_printf(s, "SwapCached:     %8lu kB\n", 0UL);
	seq_printf(s, "Active:         %8lu kB\n", (unsigned long)kib(anon + cached));
	seq_printf(s, "Inactive:       %8lu kB\n", 0UL);
	seq_printf(s, "Active(anon):   %8lu kB\n", (unsigned long)kib(anon + cached));
	seq_printf(s, "Inactive(anon): %8lu kB\n", 0UL);
	seq_printf(s, "Active(file):   %8lu kB\n", 0UL);
	seq_printf(s, "Inactive(file): %8lu kB\n", 0UL);
	seq_printf(s, "Unevictable:    %8lu kB\n", 0UL);
	seq_printf(s, "Mlocked:        %8lu kB\n", 0UL);
	seq_printf(s, "SwapTotal:      %8lu kB\n", 0UL);
	seq_printf(s, "SwapFree:       %8lu kB\n", 0UL);
	seq_printf(s, "Dirty:          %8lu kB\n", 0UL);
	seq_printf(s, "Writeback:      %8lu kB\n", 0UL);
	seq_printf(s, "AnonPages:      %8lu kB\n", (unsigned long)kib(anon));
	seq_printf(s, "Mapped:         %8lu kB\n", (unsigned long)kib(cached));
	seq_printf(s, "Shmem:          %8lu kB\n", (unsigned long)kib(cached));
	seq_printf(s, "Slab:           %8lu kB\n", (unsigned long)kib(slab));
	seq_printf(s, "SReclaimable:   %8lu kB\n", 0UL);
	seq_printf(s, "SUnreclaim:     %8lu kB\n", (unsigned long)kib(slab));
	seq_printf(s, "PageTables:     %8lu kB\n", (unsigned long)kib(tables));
	seq_printf(s, "CommitLimit:    %8lu kB\n", (unsigned long)kib(mm_commit_limit()));
	seq_printf(s, "Committed_AS:   %8lu kB\n", (unsigned long)kib(anon + cached));
	seq_printf(s, "VmallocTotal:   %8lu kB\n", 0UL);
	seq_printf(s, "VmallocUsed:    %8lu kB\n", 0UL);
	seq_printf(s, "HugePages_Total:   %5lu\n", 0UL);
	seq_printf(s, "HugePages_Free:    %5lu\n", 0UL);
	seq_printf(s, "Hugepagesize:   %8lu kB\n", 2048UL);
	return 0;
}

static long
show_vmstat(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "nr_free_pages %lu\n", (unsigned long)pages_free_count());
	seq_printf(s, "nr_anon_pages %lu\n", (unsigned long)pages_anon());
	seq_printf(s, "nr_file_pages %lu\n", (unsigned long)pages_cached());
	seq_printf(s, "nr_shmem %lu\n", (unsigned long)pages_cached());
	seq_printf(s, "nr_slab_unreclaimable %lu\n", (unsigned long)pages_slab());
	seq_printf(s, "nr_page_table_pages %lu\n", (unsigned long)pages_tables());
	seq_printf(s, "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n");
	return 0;
}

/* ---- time and load ---- */

static unsigned long ticks(uint64_t ns) { return (unsigned long)(ns / (1000000000 / HZ)); }

static uint64_t
idle_all(void)
{
	uint64_t idle = 0;

	for (unsigned c = 0; c < cpu_count(); c++)
		idle += sched_idle_ns(c);
	return idle;
}

static long
show_uptime(struct seq *s, void *arg)
{
	uint64_t up = uptime_boot_ns() / 10000000, idle = idle_all() / 10000000;

	(void)arg;
	seq_printf(s, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / 100), (unsigned long)(up % 100),
	    (unsigned long)(idle / 100), (unsigned long)(idle % 100));
	return 0;
}

static void
show_load(struct seq *s, uint64_t v)
{
	v += (1 << 16) / 200;		/* round */
	seq_printf(s, "%lu.%02lu ", (unsigned long)(v >> 16), (unsigned long)((v & 0xffff) * 100 >> 16));
}

static int
last_pid(void)
{
	struct process *p;
	int last = 1;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(p, &process_list, all)
		last = max(last, p->pid);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return last;
}

static long
show_loadavg(struct seq *s, void *arg)
{
	uint64_t load[3];

	(void)arg;
	sched_loadavg(load);
	for (int i = 0; i < 3; i++)
		show_load(s, load[i]);
	seq_printf(s, "%u/%u %d\n", sched_running(), tasks_count(), last_pid());
	return 0;
}

/* What all living processes used, and what the dead left to their parents and on. */
static void
usage_all(uint64_t *user, uint64_t *system)
{
	struct process *p;
	struct usage sum = { 0 };
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(p, &process_list, all) {
		struct task *t;

		usage_add(&sum, &p->dead_threads);
		usage_add(&sum, &p->children_usage);
		list_for_each(t, &p->threads, thread_node)
			usage_add(&sum, &t->usage);
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
	*user = sum.user_ns;
	*system = sum.system_ns;
}

static void
show_cpu(struct seq *s, const char *name, uint64_t busy, uint64_t user_share, uint64_t idle, uint64_t stolen)
{
	uint64_t user = busy / 1000 * user_share;

	seq_printf(s, "%s %lu 0 %lu %lu 0 0 0 %lu 0 0\n", name, ticks(user), ticks(busy - user), ticks(idle), ticks(stolen));
}

static long
show_stat(struct seq *s, void *arg)
{
	uint64_t up = clock_monotonic(), user, system, share, idle = idle_all(), stolen = 0, busy;
	unsigned cpus = cpu_count();
	struct process *p;
	unsigned long forks = 0;
	char name[16];

	(void)arg;
	usage_all(&user, &system);
	/* A CPU's busy time is known, and how user and system share it in all. */
	share = user + system == 0 ? 500 : user / ((user + system) / 1000 + 1);
	share = min(share, (uint64_t)1000);
	for (unsigned c = 0; c < cpus; c++)
		stolen += sched_stolen_ns(c);
	busy = up * cpus > idle + stolen ? up * cpus - idle - stolen : 0;
	show_cpu(s, "cpu ", busy, share, idle, stolen);
	for (unsigned c = 0; c < cpus; c++) {
		uint64_t i = sched_idle_ns(c), st = sched_stolen_ns(c);

		ksnprintf(name, sizeof(name), "cpu%u", c);
		show_cpu(s, name, up > i + st ? up - i - st : 0, share, i, st);
	}
	seq_printf(s, "intr 0\nctxt %lu\n", (unsigned long)sched_switches());
	seq_printf(s, "btime %lu\n", (unsigned long)((clock_realtime() - uptime_boot_ns()) / 1000000000));
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);
	list_for_each(p, &process_list, all)
		forks = max(forks, (unsigned long)p->pid);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	seq_printf(s, "processes %lu\nprocs_running %u\nprocs_blocked 0\n", forks, sched_running());
	seq_printf(s, "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
	return 0;
}

/* ---- CPUs ---- */

static uint64_t
cpu_midr(void)
{
	uint64_t v = 0;
#ifdef __aarch64__
	__asm__("mrs %0, midr_el1" : "=r"(v));
#endif
	return v;
}

/* Bits of AT_HWCAP in order, <asm/hwcap.h>. */
static const char *const hwcap_names[] = {
	"fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp", "asimdhp",
	"cpuid", "asimdrdm", "jscvt", "fcma", "lrcpc", "dcpop", "sha3", "sm3", "sm4", "asimddp", "sha512",
	"sve", "asimdfhm", "dit", "uscat", "ilrcpc", "flagm", "ssbs", "sb", "paca", "pacg",
};

static long
show_cpuinfo(struct seq *s, void *arg)
{
	uint64_t midr = cpu_midr(), caps = arch_hwcap();
	uint64_t mips = clock_hz() * 2;

	(void)arg;
	for (unsigned c = 0; c < cpu_count(); c++) {
		seq_printf(s, "processor\t: %u\n", c);
		seq_printf(s, "BogoMIPS\t: %lu.%02lu\n", (unsigned long)(mips / 1000000), (unsigned long)(mips / 10000 % 100));
		seq_printf(s, "Features\t:");
		for (unsigned b = 0; b < ARRAY_LEN(hwcap_names); b++)
			if (caps >> b & 1)
				seq_printf(s, " %s", hwcap_names[b]);
		seq_printf(s, "\nCPU implementer\t: 0x%02x\nCPU architecture: 8\n", (unsigned)(midr >> 24 & 0xff));
		seq_printf(s, "CPU variant\t: 0x%x\nCPU part\t: 0x%03x\nCPU revision\t: %u\n\n",
		    (unsigned)(midr >> 20 & 15), (unsigned)(midr >> 4 & 0xfff), (unsigned)(midr & 15));
	}
	return 0;
}

/* ---- tables ---- */

static long
show_filesystems(struct seq *s, void *arg)
{
	const char *name;
	unsigned flags;

	(void)arg;
	for (unsigned n = 0; (name = fs_type_nth(n, &flags)) != NULL; n++)
		seq_printf(s, "%s\t%s\n", flags & FS_NODEV ? "nodev" : "", name);
	return 0;
}

static long
show_devices(struct seq *s, void *arg)
{
	(void)arg;
	chrdev_print(s);
	return 0;
}

static long
show_text(struct seq *s, void *arg)
{
	seq_printf(s, "%s", (const char *)arg);
	return 0;
}

static long
show_interrupts(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "     ");
	for (unsigned c = 0; c < cpu_count(); c++)
		seq_printf(s, "       CPU%u", c);
	seq_char(s, '\n');
	return 0;
}

/* ---- uname's fields ---- */

static long
show_version(struct seq *s, void *arg)
{
	struct new_utsname u;

	(void)arg;
	uts_copy(&u);
	seq_printf(s, "%s version %s (tessera) %s\n", u.sysname, u.release, u.version);
	return 0;
}

static long
show_uts(struct seq *s, void *arg)
{
	struct new_utsname u;

	uts_copy(&u);
	seq_printf(s, "%s\n", (const char *)&u + (uint64_t)arg);
	return 0;
}

static long
store_hostname(const char *text, size_t n, void *arg)
{
	char name[65];
	const char *end;

	(void)n, (void)arg;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	strlcpy(name, text, sizeof(name));
	end = strchr(name, '\n');
	if (end != NULL)
		name[end - name] = '\0';
	uts_set_nodename(name);
	return 0;
}

/* ---- /proc/sys ---- */

struct sysctl {
	const char *path;
	const char *text;
};

/* Values that hold as they are here; writing one is EPERM. */
static const struct sysctl sysctls[] = {
	{ "sys/kernel/ngroups_max", "65536\n" },
	{ "sys/kernel/cap_last_cap", "40\n" },
	{ "sys/kernel/core_pattern", "core\n" },
	{ "sys/kernel/core_uses_pid", "0\n" },
	{ "sys/kernel/overflowuid", "65534\n" },
	{ "sys/kernel/overflowgid", "65534\n" },
	{ "sys/kernel/randomize_va_space", "2\n" },
	{ "sys/kernel/printk", "7\t4\t1\t7\n" },
	{ "sys/kernel/tainted", "0\n" },
	{ "sys/kernel/sched_child_runs_first", "0\n" },
	{ "sys/kernel/domainname", "(none)\n" },
	{ "sys/kernel/random/poolsize", "256\n" },
	{ "sys/kernel/random/entropy_avail", "256\n" },
	{ "sys/vm/overcommit_memory", "0\n" },
	{ "sys/vm/overcommit_ratio", "50\n" },
	{ "sys/vm/overcommit_kbytes", "0\n" },
	{ "sys/vm/max_map_count", "65530\n" },
	{ "sys/vm/mmap_min_addr", "65536\n" },
	{ "sys/vm/swappiness", "60\n" },
	{ "sys/fs/file-max", "1048576\n" },
	{ "sys/fs/nr_open", "262144\n" },
	{ "sys/fs/pipe-max-size", "1048576\n" },
	{ "sys/fs/pipe-user-pages-soft", "16384\n" },
	{ "sys/fs/pipe-user-pages-hard", "0\n" },
	{ "sys/fs/protected_symlinks", "0\n" },
	{ "sys/fs/protected_hardlinks", "0\n" },
	{ "sys/fs/inotify/max_queued_events", "16384\n" },
	{ "sys/fs/inotify/max_user_instances", "1024\n" },
	{ "sys/fs/inotify/max_user_watches", "65536\n" },
	{ "sys/fs/epoll/max_user_watches", "65536\n" },
};

static long
show_pid_max(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%d\n", PID_MAX);
	return 0;
}

static long
show_threads_max(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%u\n", tasks_max());
	return 0;
}

static long
show_file_nr(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%lu\t0\t1048576\n", (unsigned long)file_count());
	return 0;
}

static long
show_dentry_state(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%lu\t%lu\t45\t0\t0\t0\n", (unsigned long)dentry_count(), (unsigned long)dentry_unused());
	return 0;
}

static long
show_inode_nr(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%lu\t0\n", (unsigned long)inode_count());
	return 0;
}

static void
print_uuid(struct seq *s, const uint8_t b[16])
{
	for (int i = 0; i < 16; i++)
		seq_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	seq_char(s, '\n');
}

static void
make_uuid(uint8_t b[16])
{
	random_bytes(b, 16);
	b[6] = (b[6] & 15) | 0x40;
	b[8] = (b[8] & 63) | 0x80;
}

static long
show_uuid(struct seq *s, void *arg)
{
	uint8_t b[16];

	(void)arg;
	make_uuid(b);
	print_uuid(s, b);
	return 0;
}

static long
show_boot_id(struct seq *s, void *arg)
{
	static uint8_t id[16];
	static bool made;

	(void)arg;
	if (!made) {
		make_uuid(id);
		made = true;
	}
	print_uuid(s, id);
	return 0;
}

void
procfs_sys_init(void)
{
	procfs_register("meminfo", show_meminfo, NULL);
	procfs_register("vmstat", show_vmstat, NULL);
	procfs_register("stat", show_stat, NULL);
	procfs_register("uptime", show_uptime, NULL);
	procfs_register("loadavg", show_loadavg, NULL);
	procfs_register("version", show_version, NULL);
	procfs_register("cpuinfo", show_cpuinfo, NULL);
	procfs_register("filesystems", show_filesystems, NULL);
	procfs_register("devices", show_devices, NULL);
	procfs_register("interrupts", show_interrupts, NULL);
	procfs_register("diskstats", show_text, (void *)(uint64_t)"");
	procfs_register("partitions", show_text, (void *)(uint64_t)"major minor  #blocks  name\n\n");
	procfs_register("swaps", show_text, (void *)(uint64_t)"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	procfs_register_rw("sys/kernel/hostname", show_uts, store_hostname, (void *)offsetof(struct new_utsname, nodename));
	procfs_register("sys/kernel/ostype", show_uts, (void *)offsetof(struct new_utsname, sysname));
	procfs_register("sys/kernel/osrelease", show_uts, (void *)offsetof(struct new_utsname, release));
	procfs_register("sys/kernel/version", show_uts, (void *)offsetof(struct new_utsname, version));
	procfs_register("sys/kernel/pid_max", show_pid_max, NULL);
	procfs_register("sys/kernel/threads-max", show_threads_max, NULL);
	procfs_register("sys/kernel/random/uuid", show_uuid, NULL);
	procfs_register("sys/kernel/random/boot_id", show_boot_id, NULL);
	procfs_register("sys/fs/file-nr", show_file_nr, NULL);
	procfs_register("sys/fs/dentry-state", show_dentry_state, NULL);
	procfs_register("sys/fs/inode-nr", show_inode_nr, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(sysctls); i++)
		procfs_register(sysctls[i].path, show_text, (void *)(uint64_t)sysctls[i].text);
}
