/* SPDX-License-Identifier: MIT */
/*
 * Job control: controlling terminals, sessions and the foreground group.
 * POSIX.1-2017 11.1, tty_ioctl(4), setsid(2).
 *
 * tty->session and tty->group change with tasklist_lock and tty->lock held, in
 * the order tty->lock (55), tasklist_lock (60); process->tty with tasklist_lock.
 */
#include "tty_internal.h"

static uint64_t
both_lock(struct tty *t)
{
	uint64_t flags = spin_lock_irqsave(&t->lock);

	spin_lock(&tasklist_lock);
	return flags;
}

static void
both_unlock(struct tty *t, uint64_t flags)
{
	spin_unlock(&tasklist_lock);
	spin_unlock_irqrestore(&t->lock, flags);
}

struct tty *
tty_current(void)
{
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);
	struct tty *t = current->process->tty;

	if (t != NULL)
		tty_get(t);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return t;
}

long
tty_check_background(struct tty *t, int sig)
{
	struct process *p = current->process;
	bool orphaned;
	uint64_t flags;

	if (p->tty != t || t->group == 0 || p->pgid == t->group)
		return 0;
	flags = spin_lock_irqsave(&tasklist_lock);
	orphaned = group_is_orphaned(p->pgid);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	if (signal_ignored_or_blocked(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (orphaned)
		return -EIO;
	signal_send_group(p->pgid, sig, NULL);
	return -ERESTARTSYS;
}

/* Both locks are held: give the terminal to the session of current. */
static void
set_control(struct tty *t)
{
	struct process *p = current->process;

	tty_get(t);
	p->tty = t;
	t->session = p->sid;
	t->group = p->pgid;
}

void
tty_open_control(struct tty *t, unsigned open_flags)
{
	struct process *p = current->process;
	uint64_t flags;

	if ((open_flags & O_NOCTTY) != 0 || !p->session_leader)
		return;
	flags = both_lock(t);
	if (p->tty == NULL && t->session == 0)
		set_control(t);
	both_unlock(t, flags);
}

/* Both locks are held.  Every process of a session loses its terminal; returns
 * how many references that gave back. */
static unsigned
session_forget(struct tty *t, int sid)
{
	struct process *p;
	unsigned n = 0;

	list_for_each(p, &process_list, all) {
		if (p->tty != t || p->sid != sid)
			continue;
		p->tty = NULL;
		n++;
	}
	return n;
}

static void
put_many(struct tty *t, unsigned n)
{
	while (n-- > 0)
		tty_put(t);
}

static long
control_take(struct tty *t, uint64_t steal)
{
	struct process *p = current->process;
	unsigned dropped = 0;
	long error = 0;
	uint64_t flags = both_lock(t);

	if (p->session_leader && p->tty == t && t->session == p->sid)
		goto out;
	error = -EPERM;
	if (!p->session_leader || p->tty != NULL)
		goto out;
	if (t->session != 0) {
		if (steal != 1 || !cred_privileged(current->cred))
			goto out;
		dropped = session_forget(t, t->session);
	}
	set_control(t);
	error = 0;
out:
	both_unlock(t, flags);
	put_many(t, dropped);
	return error;
}

/* The leader lets go of the terminal: its session is told and loses it as well. */
static void
control_drop(struct tty *t, struct process *leader)
{
	unsigned dropped;
	int group;
	uint64_t flags = both_lock(t);

	group = t->group;
	dropped = session_forget(t, leader->sid);
	if (t->session == leader->sid)
		t->session = t->group = 0;
	both_unlock(t, flags);
	if (group != 0) {
		signal_send_group(group, SIGHUP, NULL);
		signal_send_group(group, SIGCONT, NULL);
	}
	put_many(t, dropped);
}

static long
control_give_up(struct tty *t)
{
	struct process *p = current->process;
	uint64_t flags;

	if (p->tty != t)
		return -ENOTTY;
	if (p->session_leader) {
		control_drop(t, p);
		return 0;
	}
	flags = both_lock(t);
	p->tty = NULL;
	both_unlock(t, flags);
	tty_put(t);
	return 0;
}

static bool
group_in_session(int pgid, int sid)
{
	struct process *p;

	list_for_each(p, &process_list, all) {
		if (p->pgid == pgid && p->sid == sid)
			return true;
	}
	return false;
}

static long
group_set(struct tty *t, uint64_t arg)
{
	struct process *p = current->process;
	uint32_t pgid;
	uint64_t flags;
	long error = tty_check_background(t, SIGTTOU);

	if (error != 0)
		return error == -EIO ? -ENOTTY : error;
	if (p->tty != t || t->session != p->sid)
		return -ENOTTY;
	if (get_user_u32(&pgid, arg) != 0)
		return -EFAULT;
	if ((int)pgid < 0)
		return -EINVAL;
	flags = both_lock(t);
	if (group_in_session((int)pgid, p->sid))
		t->group = (int)pgid;
	else
		error = -EPERM;
	both_unlock(t, flags);
	return error;
}

long
tty_ioctl_control(struct tty *t, unsigned cmd, uint64_t arg, bool master)
{
	struct process *p = current->process;

	switch (cmd) {
	case TIOCSCTTY:
		return control_take(t, arg);
	case TIOCNOTTY:
		return control_give_up(t);
	case TIOCGPGRP:
		if (!master && p->tty != t)
			return -ENOTTY;
		return put_user_u32(arg, (uint32_t)t->group);
	case TIOCSPGRP:
		return group_set(t, arg);
	case TIOCGSID:
		if ((!master && p->tty != t) || t->session == 0)
			return -ENOTTY;
		return put_user_u32(arg, (uint32_t)t->session);
	}
	return -ENOIOCTLCMD_;
}

void
tty_hangup(struct tty *t)
{
	struct process *p;
	unsigned dropped = 0;
	int group;
	uint64_t flags = both_lock(t);

	t->hangups++;
	t->stopped = false;
	ldisc_flush_input(t);
	group = t->group;
	if (t->session != 0) {
		list_for_each(p, &process_list, all) {
			if (!p->session_leader || p->sid != t->session)
				continue;
			signal_send_process(p, SIGHUP, NULL);
			signal_send_process(p, SIGCONT, NULL);
		}
		dropped = session_forget(t, t->session);
	}
	/* tasklist_lock is held: groups are signalled after it. */
	t->session = t->group = 0;
	both_unlock(t, flags);
	if (group != 0)
		signal_send_group(group, SIGHUP, NULL);
	waitq_wake(&t->read_wait, ~0u, POLLHUP | POLLIN);
	waitq_wake(&t->write_wait, ~0u, POLLHUP | POLLOUT);
	put_many(t, dropped);
}

void
tty_session_leader_exit(struct process *p)
{
	struct tty *t;
	int group;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	t = p->tty;
	if (t != NULL)
		tty_get(t);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	if (t == NULL)
		return;
	group = t->group;
	/* Files that others still hold on it are dead from now on, so that the next
	 * session starts with the terminal to itself. */
	tty_hangup(t);
	if (group != 0)
		signal_send_group(group, SIGCONT, NULL);
	tty_put(t);
}

void
tty_resize(struct tty *t, const struct winsize *w)
{
	bool changed;
	int group;
	uint64_t flags = spin_lock_irqsave(&t->lock);

	changed = memcmp(&t->winsize, w, sizeof(*w)) != 0;
	t->winsize = *w;
	group = t->group;
	if (changed && t->ops->resized != NULL)
		t->ops->resized(t);
	spin_unlock_irqrestore(&t->lock, flags);
	if (changed && group != 0)
		signal_send_group(group, SIGWINCH, NULL);
}
