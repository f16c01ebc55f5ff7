/* SPDX-License-Identifier: MIT */
/*
 * Credentials: identities, capabilities, and what exec makes of them.
 * credentials(7), capabilities(7).  A struct cred is never changed once a task
 * has it: calls make a copy, change that and install it.
 */
#include <linux/capability.h>
#include <linux/securebits.h>
#include "internal.h"
#include "syscall.h"

enum { GROUPS_MAX = 32, MNT_NOSUID_ = 2, USER_BUCKETS = 64, KEEP = -1 };

/*
 * --- tasks of each user, for RLIMIT_NPROC ---
 *
 * A task counts from before it exists until its number is free again, so a zombie
 * counts: it holds what the limit is there to bound.
 */

struct user {
	struct list node;
	uint32_t uid;
	int tasks;
};
static spinlock_t user_lock = SPINLOCK_INIT(75);
static struct list user_table[USER_BUCKETS];

static struct user *
user_find_locked(uint32_t uid)
{
	struct list *head = &user_table[uid % USER_BUCKETS];
	struct user *u;

	if (head->next == NULL)
		list_init(head);
	list_for_each(u, head, node)
		if (u->uid == uid)
			return u;
	return NULL;
}

static struct user *
user_make_locked(uint32_t uid)
{
	struct user *u = kzalloc(sizeof(*u));

	if (u != NULL) {
		u->uid = uid;
		list_add(&user_table[uid % USER_BUCKETS], &u->node);
	}
	return u;
}

/* Look and count in one step: forks on several CPUs do not pass the limit together. */
bool
user_task_charge(uint32_t uid, uint64_t limit)
{
	uint64_t irq = spin_lock_irqsave(&user_lock);
	struct user *u = user_find_locked(uid);
	bool ok;

	if (u == NULL)
		u = user_make_locked(uid);
	ok = u != NULL && (uint64_t)u->tasks < limit;
	if (ok)
		u->tasks++;
	spin_unlock_irqrestore(&user_lock, irq);
	return ok;
}

void
user_task_uncharge(uint32_t uid)
{
	uint64_t irq = spin_lock_irqsave(&user_lock);
	struct user *u = user_find_locked(uid);

	if (u != NULL && --u->tasks <= 0) {
		list_del(&u->node);
		kfree(u);
	}
	spin_unlock_irqrestore(&user_lock, irq);
}

/* --- objects --- */

struct cred *
cred_copy(const struct cred *from)
{
	struct cred *c = kmalloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = *from;
	ref_init(&c->refs, 1);
	return c;
}

void
cred_put(struct cred *c)
{
	if (ref_put(&c->refs))
		kfree(c);
}

struct cred *
cred_init_root(void)
{
	struct cred *c = kzalloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	ref_init(&c->refs, 1);
	c->cap_effective = c->cap_permitted = c->cap_bounding = CAP_FULL;
	return c;
}

struct cred *
cred_prepare(void)
{
	return cred_copy(current->cred);
}

/* The kernel of another CPU may be reading the old one (kill): freed with tasklist_lock held. */
void
cred_install(struct cred *c)
{
	struct cred *old = current->cred;
	uint64_t irq;

	if (c->uid != old->uid) {
		/* The limit is asked at the next fork, not here: setuid(2) must not fail half-way. */
		(void)user_task_charge(c->uid, UINT64_MAX);
		user_task_uncharge(old->uid);
	}
	irq = spin_lock_irqsave(&tasklist_lock);
	current->cred = c;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	cred_put(old);
}

/* kill(2): real or effective against real or saved; SIGCONT within a session. */
bool
cred_may_signal(const struct task *target, int sig)
{
	const struct cred *c = current->cred;
	const struct cred *t = target->cred;

	if (c->euid == t->suid || c->euid == t->uid || c->uid == t->suid || c->uid == t->uid)
		return true;
	if (capable(CAP_KILL_))
		return true;
	return sig == SIGCONT && target->process->sid == current->process->sid;
}

/* Another task may install another one at any time, and free this one. */
struct cred *
cred_of_task(const struct task *t)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct cred *c = t->cred;

	ref_get(&c->refs);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return c;
}

bool
task_may_signal(const struct task *target, int sig)
{
	uint64_t irq;
	bool may;

	if (target == current)
		return true;
	irq = spin_lock_irqsave(&tasklist_lock);
	may = cred_may_signal(target, sig);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return may;
}

bool
process_may_signal(const struct process *p, int sig)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	bool may = cred_may_signal(p->leader, sig);

	spin_unlock_irqrestore(&tasklist_lock, irq);
	return may;
}

uint64_t
rlimit(unsigned resource)
{
	return READ_ONCE(current->process->rlimit_cur[resource]);
}

/* --- exec --- */

static bool
root_by_id(const struct cred *c)
{
	return !(c->securebits & SECBIT_NOROOT) && (c->euid == 0 || c->uid == 0);
}

/* capabilities(7), "Transformation of capabilities during execve()"; files have none of their own. */
static void
exec_capabilities(struct cred *c, bool changed_id)
{
	if (changed_id)
		c->cap_ambient = 0;
	if (root_by_id(c)) {
		c->cap_permitted = c->cap_inheritable | c->cap_bounding;
		c->cap_effective = c->euid == 0 ? c->cap_permitted : c->cap_ambient;
	} else {
		c->cap_permitted = c->cap_ambient;
		c->cap_effective = c->cap_ambient;
	}
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

void
cred_exec(struct cred *c, const struct file *f, bool *secure)
{
	const struct inode *i = f->inode;
	bool nosuid = c->no_new_privs || (f->path.mnt != NULL && (f->path.mnt->flags & MNT_NOSUID_));
	uint32_t euid = c->euid, egid = c->egid;

	if (!nosuid && (i->mode & 04000))
		c->euid = i->uid;
	if (!nosuid && (i->mode & 02010) == 02010)
		c->egid = i->gid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	exec_capabilities(c, euid != c->euid || egid != c->egid);
	*secure = c->euid != c->uid || c->egid != c->gid;
}

/* --- users --- */

/* Capabilities follow the identities (capabilities(7), "Effect of user ID changes"). */
static void
fix_capabilities(struct cred *n, const struct cred *o)
{
	bool was_root = o->uid == 0 || o->euid == 0 || o->suid == 0;
	bool is_root = n->uid == 0 || n->euid == 0 || n->suid == 0;

	if (n->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && !is_root) {
		if (!(n->securebits & SECBIT_KEEP_CAPS))
			n->cap_permitted = n->cap_effective = 0;
		n->cap_ambient = 0;
	}
	if (o->euid == 0 && n->euid != 0)
		n->cap_effective = 0;
	if (o->euid != 0 && n->euid == 0)
		n->cap_effective = n->cap_permitted;
}

static long
install_users(struct cred *n)
{
	const struct cred *o = current->cred;

	n->fsuid = n->euid;
	fix_capabilities(n, o);
	if (n->euid != o->euid || n->egid != o->egid) {
		current->process->dumpable = false;
		current->mm->dumpable = false;
		current->pdeath_signal = 0;
	}
	cred_install(n);
	return 0;
}

static long
drop(struct cred *n, long error)
{
	cred_put(n);
	return error;
}

static bool
uid_is_one_of(const struct cred *c, uint32_t id)
{
	return id == c->uid || id == c->euid || id == c->suid;
}

static bool
gid_is_one_of(const struct cred *c, uint32_t id)
{
	return id == c->gid || id == c->egid || id == c->sgid;
}

long
sys_setuid(uint64_t uid64)
{
	uint32_t uid = (uint32_t)uid64;
	struct cred *n;

	if (uid == (uint32_t)KEEP)
		return -EINVAL;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	if (capable(CAP_SETUID_))
		n->uid = n->suid = uid;
	else if (uid != n->uid && uid != n->suid)
		return drop(n, -EPERM);
	n->euid = uid;
	return install_users(n);
}

long
sys_setreuid(uint64_t ruid64, uint64_t euid64)
{
	uint32_t ruid = (uint32_t)ruid64, euid = (uint32_t)euid64;
	const struct cred *o = current->cred;
	struct cred *n = cred_prepare();

	if (n == NULL)
		return -ENOMEM;
	if (ruid != (uint32_t)KEEP) {
		if (ruid != o->uid && ruid != o->euid && !capable(CAP_SETUID_))
			return drop(n, -EPERM);
		n->uid = ruid;
	}
	if (euid != (uint32_t)KEEP) {
		if (!uid_is_one_of(o, euid) && !capable(CAP_SETUID_))
			return drop(n, -EPERM);
		n->euid = euid;
	}
	if (ruid != (uint32_t)KEEP || (euid != (uint32_t)KEEP && euid != o->uid))
		n->suid = n->euid;
	return install_users(n);
}

long
sys_setresuid(uint64_t r64, uint64_t e64, uint64_t s64)
{
	uint32_t r = (uint32_t)r64, e = (uint32_t)e64, s = (uint32_t)s64;
	const struct cred *o = current->cred;
	struct cred *n = cred_prepare();

	if (n == NULL)
		return -ENOMEM;
	if (!capable(CAP_SETUID_)
	    && ((r != (uint32_t)KEEP && !uid_is_one_of(o, r)) || (e != (uint32_t)KEEP && !uid_is_one_of(o, e))
	    || (s != (uint32_t)KEEP && !uid_is_one_of(o, s))))
		return drop(n, -EPERM);
	if (r != (uint32_t)KEEP)
		n->uid = r;
	if (e != (uint32_t)KEEP)
		n->euid = e;
	if (s != (uint32_t)KEEP)
		n->suid = s;
	return install_users(n);
}

static long
put_three(uaddr_t a, uint32_t av, uaddr_t b, uint32_t bv, uaddr_t c, uint32_t cv)
{
	if (put_user_u32(a, av) != 0 || put_user_u32(b, bv) != 0 || put_user_u32(c, cv) != 0)
		return -EFAULT;
	return 0;
}

long
sys_getresuid(uint64_t r, uint64_t e, uint64_t s)
{
	const struct cred *c = current->cred;

	return put_three(r, c->uid, e, c->euid, s, c->suid);
}

/* Returns the old one whether it worked or not (setfsuid(2)). */
long
sys_setfsuid(uint64_t uid64)
{
	uint32_t uid = (uint32_t)uid64, old = current->cred->fsuid;
	struct cred *n;

	if (uid == (uint32_t)KEEP || uid == old
	    || (!uid_is_one_of(current->cred, uid) && !capable(CAP_SETUID_)))
		return (long)old;
	n = cred_prepare();
	if (n == NULL)
		return (long)old;
	n->fsuid = uid;
	cred_install(n);
	return (long)old;
}

/* --- groups --- */

static long
install_groups(struct cred *n)
{
	n->fsgid = n->egid;
	if (n->egid != current->cred->egid) {
		current->process->dumpable = false;
		current->mm->dumpable = false;
		current->pdeath_signal = 0;
	}
	cred_install(n);
	return 0;
}

long
sys_setgid(uint64_t gid64)
{
	uint32_t gid = (uint32_t)gid64;
	struct cred *n;

	if (gid == (uint32_t)KEEP)
		return -EINVAL;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	if (capable(CAP_SETGID_))
		n->gid = n->sgid = gid;
	else if (gid != n->gid && gid != n->sgid)
		return drop(n, -EPERM);
	n->egid = gid;
	return install_groups(n);
}

long
sys_setregid(uint64_t rgid64, uint64_t egid64)
{
	uint32_t rgid = (uint32_t)rgid64, egid = (uint32_t)egid64;
	const struct cred *o = current->cred;
	struct cred *n = cred_prepare();

	if (n == NULL)
		return -ENOMEM;
	if (rgid != (uint32_t)KEEP) {
		if (rgid != o->gid && rgid != o->egid && !capable(CAP_SETGID_))
			return drop(n, -EPERM);
		n->gid = rgid;
	}
	if (egid != (uint32_t)KEEP) {
		if (!gid_is_one_of(o, egid) && !capable(CAP_SETGID_))
			return drop(n, -EPERM);
		n->egid = egid;
	}
	if (rgid != (uint32_t)KEEP || (egid != (uint32_t)KEEP && egid != o->gid))
		n->sgid = n->egid;
	return install_groups(n);
}

long
sys_setresgid(uint64_t r64, uint64_t e64, uint64_t s64)
{
	uint32_t r = (uint32_t)r64, e = (uint32_t)e64, s = (uint32_t)s64;
	const struct cred *o = current->cred;
	struct cred *n = cred_prepare();

	if (n == NULL)
		return -ENOMEM;
	if (!capable(CAP_SETGID_)
	    && ((r != (uint32_t)KEEP && !gid_is_one_of(o, r)) || (e != (uint32_t)KEEP && !gid_is_one_of(o, e))
	    || (s != (uint32_t)KEEP && !gid_is_one_of(o, s))))
		return drop(n, -EPERM);
	if (r != (uint32_t)KEEP)
		n->gid = r;
	if (e != (uint32_t)KEEP)
		n->egid = e;
	if (s != (uint32_t)KEEP)
		n->sgid = s;
	return install_groups(n);
}

long
sys_getresgid(uint64_t r, uint64_t e, uint64_t s)
{
	const struct cred *c = current->cred;

	return put_three(r, c->gid, e, c->egid, s, c->sgid);
}

long
sys_setfsgid(uint64_t gid64)
{
	uint32_t gid = (uint32_t)gid64, old = current->cred->fsgid;
	struct cred *n;

	if (gid == (uint32_t)KEEP || gid == old
	    || (!gid_is_one_of(current->cred, gid) && !capable(CAP_SETGID_)))
		return (long)old;
	n = cred_prepare();
	if (n == NULL)
		return (long)old;
	n->fsgid = gid;
	cred_install(n);
	return (long)old;
}

long
sys_getgroups(uint64_t size, uint64_t list)
{
	const struct cred *c = current->cred;

	if ((int)size < 0)
		return -EINVAL;
	if (size == 0)
		return c->ngroups;
	if (size < c->ngroups)
		return -EINVAL;
	if (copy_to_user(list, c->groups, c->ngroups * sizeof(c->groups[0])) != 0)
		return -EFAULT;
	return c->ngroups;
}

long
sys_setgroups(uint64_t size, uint64_t list)
{
	struct cred *n;

	if (!capable(CAP_SETGID_))
		return -EPERM;
	if (size > GROUPS_MAX)
		return -EINVAL;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	if (copy_from_user(n->groups, list, size * sizeof(n->groups[0])) != 0)
		return drop(n, -EFAULT);
	n->ngroups = (uint32_t)size;
	cred_install(n);
	return 0;
}

long sys_getuid(void) { return (long)current->cred->uid; }
long sys_geteuid(void) { return (long)current->cred->euid; }
long sys_getgid(void) { return (long)current->cred->gid; }
long sys_getegid(void) { return (long)current->cred->egid; }

/* --- capget, capset --- */

/* Version and pid; 0: go on with *words data elements. */
static long
cap_header(uaddr_t header, int *pid, unsigned *words)
{
	uint32_t version, id;

	if (get_user_u32(&version, header) != 0)
		return -EFAULT;
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		break;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		break;
	default:
		if (put_user_u32(header, _LINUX_CAPABILITY_VERSION_3) != 0)
			return -EFAULT;
		return -EINVAL;
	}
	if (get_user_u32(&id, header + 4) != 0)
		return -EFAULT;
	*pid = (int)id;
	return 0;
}

long
sys_capget(uint64_t header, uint64_t data)
{
	struct __user_cap_data_struct d[2];
	struct task *t;
	struct cred *c;
	unsigned words;
	int pid;
	long r = cap_header(header, &pid, &words);

	if (data == 0)
		return r == -EINVAL ? 0 : r;	/* a probe for the version */
	if (r != 0)
		return r;
	if (pid < 0)
		return -EINVAL;
	t = pid != 0 ? task_find(pid) : current;
	if (t == NULL)
		return -ESRCH;
	c = cred_of_task(t);
	for (unsigned i = 0; i < 2; i++) {
		d[i].effective = (uint32_t)(c->cap_effective >> (32 * i));
		d[i].permitted = (uint32_t)(c->cap_permitted >> (32 * i));
		d[i].inheritable = (uint32_t)(c->cap_inheritable >> (32 * i));
	}
	cred_put(c);
	if (pid != 0)
		task_put(t);
	return copy_to_user(data, d, words * sizeof(d[0]));
}

long
sys_capset(uint64_t header, uint64_t data)
{
	struct __user_cap_data_struct d[2] = { 0 };
	uint64_t e, p, i;
	struct cred *n;
	unsigned words;
	int pid;
	long r = cap_header(header, &pid, &words);

	if (r != 0)
		return r;
	if (pid != 0 && pid != current->tid)
		return -EPERM;
	if (copy_from_user(d, data, words * sizeof(d[0])) != 0)
		return -EFAULT;
	e = (d[0].effective | (uint64_t)d[1].effective << 32) & CAP_FULL;
	p = (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAP_FULL;
	i = (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAP_FULL;
	n = cred_prepare();
	if (n == NULL)
		return -ENOMEM;
	if ((i & ~(n->cap_inheritable | n->cap_permitted) && !capable(CAP_SETPCAP_))
	    || (i & ~(n->cap_inheritable | n->cap_bounding)) || (p & ~n->cap_permitted) || (e & ~p))
		return drop(n, -EPERM);
	n->cap_effective = e;
	n->cap_permitted = p;
	n->cap_inheritable = i;
	n->cap_ambient &= p & i;
	cred_install(n);
	return 0;
}
