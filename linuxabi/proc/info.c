/* SPDX-License-Identifier: MIT */
/*
 * What programs ask about the system as a whole: uname, host name, sysinfo,
 * random numbers, and how it ends.
 */
#include <linux/personality.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include "internal.h"
#include "syscall.h"

enum { NAME_LEN = 64 };

static spinlock_t uts_lock = SPINLOCK_INIT(50);
static struct new_utsname uts = {
	.sysname = "Linux", .nodename = "tessera", .release = "6.6.0-tessera",
	.version = "#1 SMP PREEMPT Tessera", .machine = "aarch64", .domainname = "(none)",
};

/* --- uname --- */

void
uts_copy(struct new_utsname *to)
{
	spin_lock(&uts_lock);
	*to = uts;
	spin_unlock(&uts_lock);
}

void
uts_set_nodename(const char *name)
{
	spin_lock(&uts_lock);
	memset(uts.nodename, 0, sizeof(uts.nodename));
	strlcpy(uts.nodename, name, sizeof(uts.nodename));
	spin_unlock(&uts_lock);
}

long
sys_uname(uint64_t to)
{
	struct new_utsname u;

	uts_copy(&u);
	if (current->personality & UNAME26)
		strlcpy(u.release, "2.6.66-tessera", sizeof(u.release));
	return copy_to_user(to, &u, sizeof(u));
}

static long
set_name(char field[NAME_LEN + 1], uint64_t from, uint64_t len)
{
	char name[NAME_LEN + 1] = { 0 };

	if (!capable(CAP_SYS_ADMIN_))
		return -EPERM;
	if ((int)len < 0 || (int)len > NAME_LEN)
		return -EINVAL;
	if (copy_from_user(name, from, (size_t)(int)len) != 0)
		return -EFAULT;
	spin_lock(&uts_lock);
	memcpy(field, name, sizeof(name));
	spin_unlock(&uts_lock);
	return 0;
}

long sys_sethostname(uint64_t from, uint64_t len) { return set_name(uts.nodename, from, len); }
long sys_setdomainname(uint64_t from, uint64_t len) { return set_name(uts.domainname, from, len); }

/* --- sysinfo, getcpu, personality --- */

long
sys_sysinfo(uint64_t to)
{
	struct sysinfo s;
	uint64_t load[3];

	memset(&s, 0, sizeof(s));
	sched_loadavg(load);
	for (unsigned i = 0; i < 3; i++)
		s.loads[i] = load[i];
	s.uptime = (long)(clock_monotonic() / 1000000000);
	s.mem_unit = 1;
	s.totalram = pages_total() << PAGE_SHIFT;
	s.freeram = pages_free_count() << PAGE_SHIFT;
	s.procs = (uint16_t)min(tasks_count(), 65535u);
	return copy_to_user(to, &s, sizeof(s));
}

long
sys_getcpu(uint64_t cpu, uint64_t node, uint64_t unused)
{
	(void)unused;			/* a cache that Linux no longer writes */
	if (cpu != 0 && put_user_u32(cpu, cpu_id()) != 0)
		return -EFAULT;
	return node != 0 && put_user_u32(node, 0) != 0 ? -EFAULT : 0;
}

long
sys_personality(uint64_t want)
{
	uint32_t old = current->personality;

	if ((uint32_t)want == 0xffffffffu)
		return (long)old;
	if ((want & PER_MASK) == PER_LINUX32)
		return -EINVAL;		/* no 32-bit programs */
	current->personality = (uint32_t)want;
	return (long)old;
}

/* --- getrandom --- */

long
sys_getrandom(uint64_t to, uint64_t len, uint64_t flags)
{
	enum { POLL_NS = 10000000 };
	uint8_t buf[256];
	uint64_t done = 0;

	if ((unsigned)flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
		return -EINVAL;
	while (!random_ready() && !(flags & GRND_INSECURE)) {
		if (flags & GRND_NONBLOCK)
			return -EAGAIN;
		if (sleep_until(clock_monotonic() + POLL_NS) != 0)
			return -ERESTARTSYS;
	}
	len = min(len, (uint64_t)INT32_MAX);
	while (done < len) {
		size_t n = min(len - done, (uint64_t)sizeof(buf));

		random_bytes(buf, n);
		if (copy_to_user(to + done, buf, n) != 0)
			return done != 0 ? (long)done : -EFAULT;
		done += n;
		if (done < len && signal_pending())
			break;
	}
	return (long)done;
}

/* --- reboot --- */

static bool
magic_valid(uint32_t one, uint32_t two)
{
	return one == LINUX_REBOOT_MAGIC1 && (two == LINUX_REBOOT_MAGIC2 || two == LINUX_REBOOT_MAGIC2A
	    || two == LINUX_REBOOT_MAGIC2B || two == LINUX_REBOOT_MAGIC2C);
}

long
sys_reboot(uint64_t one, uint64_t two, uint64_t cmd, uint64_t arg)
{
	(void)arg;
	if (!capable(CAP_SYS_BOOT_))
		return -EPERM;
	if (!magic_valid((uint32_t)one, (uint32_t)two))
		return -EINVAL;
	switch ((uint32_t)cmd) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0;
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		fs_shutdown();
		klog(LOG_EMERG, "reboot: Restarting system");
		arch_reset();
	case LINUX_REBOOT_CMD_HALT:
	case LINUX_REBOOT_CMD_POWER_OFF:
		fs_shutdown();
		klog(LOG_EMERG, "reboot: Power down");
		arch_power_off();
	default:
		return -EINVAL;
	}
}
