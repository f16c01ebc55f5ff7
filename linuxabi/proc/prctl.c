/* SPDX-License-Identifier: MIT */
/* prctl(2), unshare(2), membarrier(2). */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include "internal.h"
#include "syscall.h"

enum { TIMER_SLACK_NS = 50000 };

static long
set_name(uaddr_t from)
{
	char name[TASK_COMM];
	long r = strncpy_from_user(name, from, sizeof(name));

	if (r == -EFAULT)
		return r;
	name[TASK_COMM - 1] = 0;
	memset(current->comm, 0, sizeof(current->comm));
	strlcpy(current->comm, name, sizeof(current->comm));
	return 0;
}

static long
change_securebits(uint32_t bits)
{
	struct cred *n = cred_prepare();
	uint32_t old, locks;

	if (n == NULL)
		return -ENOMEM;
	old = n->securebits;
	locks = (old & (uint32_t)SECURE_ALL_LOCKS) >> 1;
	if ((locks & (old ^ bits)) || (old & (uint32_t)SECURE_ALL_LOCKS & ~bits)
	    || (bits & ~(uint32_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) || !capable(CAP_SETPCAP_)) {
		cred_put(n);
		return -EPERM;
	}
	n->securebits = bits;
	cred_install(n);
	return 0;
}

static long
set_keepcaps(uint64_t on)
{
	struct cred *n;

	if (on > 1)
		return -EINVAL;
	if (current->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	n->securebits = (n->securebits & ~(uint32_t)SECBIT_KEEP_CAPS) | (on ? SECBIT_KEEP_CAPS : 0);
	cred_install(n);
	return 0;
}

static long
bounding_drop(uint64_t cap)
{
	struct cred *n;

	if (!capable(CAP_SETPCAP_))
		return -EPERM;
	if (cap > CAP_LAST_)
		return -EINVAL;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	n->cap_bounding &= ~(1UL << cap);
	cred_install(n);
	return 0;
}

static long
ambient(uint64_t op, uint64_t cap, uint64_t a4, uint64_t a5)
{
	const struct cred *c = current->cred;
	struct cred *n;

	if (op == PR_CAP_AMBIENT_CLEAR_ALL ? (cap | a4 | a5) != 0 : (a4 | a5) != 0 || cap > CAP_LAST_)
		return -EINVAL;
	switch (op) {
	case PR_CAP_AMBIENT_IS_SET:
		return (long)((c->cap_ambient >> cap) & 1);
	case PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & (1UL << cap))
		    || (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		break;
	case PR_CAP_AMBIENT_LOWER:
	case PR_CAP_AMBIENT_CLEAR_ALL:
		break;
	default:
		return -EINVAL;
	}
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	if (op == PR_CAP_AMBIENT_RAISE)
		n->cap_ambient |= 1UL << cap;
	else
		n->cap_ambient &= op == PR_CAP_AMBIENT_LOWER ? ~(1UL << cap) : 0;
	cred_install(n);
	return 0;
}

static long
set_no_new_privs(void)
{
	struct cred *n;

	if (current->cred->no_new_privs)
		return 0;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	n->no_new_privs = true;
	cred_install(n);
	return 0;
}

long
sys_prctl(uint64_t option, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct task *t = current;
	struct process *p = t->process;

	switch ((int)option) {
	case PR_SET_PDEATHSIG:
		if (a2 > NSIG_)
			return -EINVAL;
		t->pdeath_signal = (int)a2;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user_u32(a2, (uint32_t)t->pdeath_signal);
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		p->dumpable = t->mm->dumpable = a2 != 0;
		return 0;
	case PR_GET_KEEPCAPS:
		return (t->cred->securebits & SECBIT_KEEP_CAPS) != 0;
	case PR_SET_KEEPCAPS:
		return set_keepcaps(a2);
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_NAME:
		return set_name(a2);
	case PR_GET_NAME:
		return copy_to_user(a2, t->comm, sizeof(t->comm));
	case PR_CAPBSET_READ:
		return a2 > CAP_LAST_ ? -EINVAL : (long)((t->cred->cap_bounding >> a2) & 1);
	case PR_CAPBSET_DROP:
		return bounding_drop(a2);
	case PR_GET_SECUREBITS:
		return (long)t->cred->securebits;
	case PR_SET_SECUREBITS:
		return change_securebits((uint32_t)a2);
	case PR_GET_TIMERSLACK:
		return TIMER_SLACK_NS;
	case PR_SET_TIMERSLACK:
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		p->child_subreaper = a2 != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user_u32(a2, p->child_subreaper);
	case PR_SET_NO_NEW_PRIVS:
		return a2 != 1 || (a3 | a4 | a5) != 0 ? -EINVAL : set_no_new_privs();
	case PR_GET_NO_NEW_PRIVS:
		return (a2 | a3 | a4 | a5) != 0 ? -EINVAL : t->cred->no_new_privs;
	case PR_GET_TID_ADDRESS:
		return put_user_u64(a2, t->clear_child_tid);
	case PR_SET_THP_DISABLE:
		return (a3 | a4 | a5) != 0 ? -EINVAL : 0;
	case PR_GET_THP_DISABLE:
		return (a2 | a3 | a4 | a5) != 0 ? -EINVAL : 1;
	case PR_CAP_AMBIENT:
		return ambient(a2, a3, a4, a5);
	default:
		return -EINVAL;		/* seccomp, SET_VMA, MTE, … as on a kernel without them */
	}
}

/* --- unshare --- */

static long
unshare_files(void)
{
	struct files *old = current->files, *n;

	if (ref_read(&old->refs) == 1)
		return 0;
	n = files_copy(old);
	if (n == NULL)
		return -ENOMEM;
	current->files = n;
	files_put(old);
	return 0;
}

static long
unshare_fs(void)
{
	struct fs_context *old = current->fs, *n;

	if (ref_read(&old->refs) == 1)
		return 0;
	n = fs_context_copy(old);
	if (n == NULL)
		return -ENOMEM;
	current->fs = n;
	fs_context_put(old);
	return 0;
}

long
sys_unshare(uint64_t flags)
{
	struct process *p = current->process;
	long r = 0;

	if (flags & ~(uint64_t)(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))
		return -EINVAL;		/* namespaces included: there is one of each */
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && p->thread_count > 1)
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && ref_read(&p->sighand->refs) > 1)
		return -EINVAL;
	if ((flags & CLONE_VM) && ref_read(&current->mm->users) > 1)
		return -EINVAL;
	if (flags & CLONE_FS)
		r = unshare_fs();
	if (r == 0 && (flags & CLONE_FILES))
		r = unshare_files();
	return r;
}
