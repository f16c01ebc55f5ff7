/* SPDX-License-Identifier: MIT */
/*
 * Bring-up of a Linux world: from struct world_info (proto/world.h) to the first
 * program.  VCPU 0 does it all and lets the others in when there is work for them.
 */
#include <linux/mount.h>
#include <proto/world.h>

#include "arch/arm64/internal.h"
#include "block.h"
#include "cpu.h"
#include "fs.h"
#include "futex.h"
#include "io.h"
#include "log.h"
#include "page.h"
#include "random.h"
#include "sysfs.h"
#include "task.h"
#include "tty.h"
#include "vdso_data.h"

void slab_init(void);
void syscall_init(void);
void main(uint64_t info_ipa) __attribute__((noreturn));
void secondary_main(unsigned cpu) __attribute__((noreturn));

enum { ROOT_TRIES = 4 };		/* of half a minute each */

static struct world_info world;
static struct task boot_task = { .comm = "idle/0", .kernel_thread = true, .affinity = 1 };
static struct task *secondary_tasks[MAX_CPUS];

/* Where a panic ends: a touch of nothing is a fault of this component, and its
 * supervisor decides what becomes of it. */
void
arch_stop_world(void)
{
	for (;;)
		*(volatile uint64_t *)ipa_to_virt(0x7ffffff000) = 0;
}

static void
world_check(const struct world_info *w)
{
	if (w->magic != WORLD_MAGIC || w->version != WORLD_VERSION)
		panic("struct world_info is not version %u", WORLD_VERSION);
	if (w->ram_count == 0 || w->ram_count > WORLD_MAX_RAM || w->vcpu_count == 0 || w->timer_hz == 0)
		panic("struct world_info makes no sense");
}

/* The value of "name=" on the command line, into buf; NULL: it is not there. */
static const char *
argument(const char *name, char buf[WORLD_CMDLINE])
{
	size_t len = strlen(name);

	for (const char *p = world.cmdline; *p != '\0'; p++) {
		size_t n = 0;

		if (strncmp(p, name, len) != 0 || (p != world.cmdline && p[-1] != ' '))
			continue;
		for (p += len; p[n] != '\0' && p[n] != ' '; n++)
			buf[n] = p[n];
		buf[n] = '\0';
		return buf;
	}
	return NULL;
}

static long
show_cmdline(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%s\n", world.cmdline);
	return 0;
}

static void
start_first_program(void)
{
	static const char *const places[] = { "/sbin/init", "/bin/init", "/bin/sh" };
	static char buf[WORLD_CMDLINE];		/* the program's task reads it when we are gone */
	const char *named = argument("init=", buf);

	boot_stages_end();
	if (named != NULL) {
		if (process_start_init(named) == 0)
			return;
		panic("init=%s cannot be started", named);
	}
	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		if (process_start_init(places[i]) == 0)
			return;
	}
	panic("there is no /sbin/init, /bin/init or /bin/sh");
}

static void
archive_unpack(void)
{
	long error;

	if (world.archive.size == 0)
		return;
	error = fs_unpack_cpio(ipa_to_virt(world.archive.base), world.archive.size);
	if (error != 0)
		klog(LOG_ERR, "root archive: error %ld; what was unpacked stays", -error);
}

/*
 * root=none or no file system channel: the archive.  Otherwise the file system
 * that root= names, or that of the root partition, is waited for: its disk may
 * still be on its way.  What cannot be mounted leaves us with the archive.
 */
static bool
root_from_disk(void)
{
	char buf[WORLD_CMDLINE], mode[WORLD_CMDLINE];
	const char *root = argument("root=", buf);
	unsigned long flags = argument("rootflags=", mode) != NULL && strcmp(mode, "ro") == 0 ? MS_RDONLY : 0;
	long error = -ENXIO;

	if (io_channel_find(0, CHANNEL_FS, NULL) < 0 || (root != NULL && strcmp(root, "none") == 0))
		return false;
	if (root == NULL && io_root_part() == NULL)
		return false;
	root = root != NULL ? root : "/dev/root";
	for (unsigned tries = 0; tries < ROOT_TRIES && error == -ENXIO; tries++) {
		error = fs_mount_root("ext4", root, flags);
		if (error == -ENXIO)
			klog(LOG_WARNING, "still waiting for the root file system on %s", root);
	}
	if (error == 0)
		return true;
	klog(LOG_ERR, "the root file system on %s cannot be mounted: error %ld; the archive is root instead", root, -error);
	return false;
}

/* The rest of the bring-up, as a task: it may sleep. */
static void
bring_up(void *arg)
{
	long error;

	(void)arg;
	fs_init();
	sysfs_cpus_init(min(world.vcpu_count, (uint32_t)MAX_CPUS));
	net_init();
	syscall_init();
	boot_stages_init(&world);
	boot_slot_init(&world);
	procfs_register("cmdline", show_cmdline, NULL);
	memory_usage_init(&world);
	capabilities_init(&world);
	tty_init();
	if (world.console != 0)
		console_channel_init((uint64_t)ipa_to_virt(world.console));
	if (!root_from_disk())
		archive_unpack();
	/* The first program's descriptors are /dev/console's. */
	error = fs_mount("/dev", "devtmpfs");
	if (error != 0)
		klog(LOG_WARNING, "no devtmpfs on /dev: error %ld", -error);
	block_init();
	klog(LOG_INFO, "Tessera Linux personality: %u CPUs, %lu MiB, %lu ms after power-on", cpu_count(),
	    pages_total() * PAGE_SIZE >> 20, uptime_boot_ns() / 1000000);
	start_first_program();
}

static void
start_secondaries(void)
{
	for (unsigned cpu = 1; cpu < world.vcpu_count && cpu < MAX_CPUS; cpu++) {
		char name[TASK_COMM];
		struct task *t;

		ksnprintf(name, sizeof(name), "idle/%u", cpu);
		t = task_alloc(name);
		if (t == NULL)
			panic("no memory for CPU %u", cpu);
		t->cpu = cpu;
		t->affinity = 1UL << cpu;
		secondary_stacks[cpu] = (uint64_t)t->kstack + (PAGE_SIZE << KSTACK_ORDER);
		dcache_clean_invalidate(t, sizeof(*t));
		secondary_tasks[cpu] = t;
	}
	mmu_open_gate();
	while (cpu_count() < min(world.vcpu_count, (uint32_t)MAX_CPUS))
		arch_cpu_relax();
}

void
main(uint64_t info_ipa)
{
	write_sysreg(tpidr_el1, (uint64_t)&boot_task);
	memcpy(&world, ipa_to_virt(info_ipa), sizeof(world));
	mmu_init();
	clock_init(&world);
	cpu_init_this();
	asid_init();
	if (world.log != 0)
		log_channel_init(ipa_to_virt(world.log));
	world_check(&world);
	page_init(&world);
	slab_init();
	random_init(&world);
	io_init(&world);
	sched_init();
	sched_init_cpu();
	mm_init();
	signal_init();
	futex_init();
	proc_init();
	arch_irq_enable();
	start_secondaries();
	sched_start_load();
	if (kthread_create("bring-up", bring_up, NULL) == NULL)
		panic("no memory for the first task");
	sched_idle();
}

void
secondary_main(unsigned cpu)
{
	write_sysreg(tpidr_el1, (uint64_t)secondary_tasks[cpu]);
	cpu_init_this();
	mmu_user_none();
	sched_init_cpu();
	sched_idle();
}
