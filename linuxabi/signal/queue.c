/* SPDX-License-Identifier: MIT */
/*
 * Signal queues: what is pending for a thread or a process, who is woken for
 * it, and what job control does at the moment a signal is sent.
 *
 * Everything here runs under sighand->lock (rank 70).  A standard signal is
 * pending at most once; a real-time signal once for each queued siginfo.  The
 * set alone is the truth for "is pending": when no siginfo could be allocated
 * for a standard signal it is delivered with SI_USER and zeros, as Linux does.
 * signal(7), sigaction(2), kill(2).
 */
#include "signal_internal.h"

struct sigqueue {
	struct list node;
	struct process *owner;		/* whose sigqueue_count it is in; referenced */
	siginfo_t info;
};

static struct kcache *sigqueue_cache;
static struct kcache *sighand_cache;

void
signal_init(void)
{
	sigqueue_cache = kcache_create("sigqueue", sizeof(struct sigqueue), 8);
	sighand_cache = kcache_create("sighand", sizeof(struct sighand), 64);
	if (sigqueue_cache == NULL || sighand_cache == NULL)
		panic("signal: no memory for caches");
}

void
sigpending_init(struct sigpending *p)
{
	p->set = 0;
	list_init(&p->queue);
}

static void
sigqueue_free(struct sigqueue *q)
{
	__atomic_fetch_sub(&q->owner->sigqueue_count, 1, __ATOMIC_RELAXED);
	process_put(q->owner);
	kcache_free(sigqueue_cache, q);
}

void
sigpending_flush(struct sigpending *p)
{
	struct sigqueue *q, *tmp;

	p->set = 0;
	list_for_each_safe(q, tmp, &p->queue, node) {
		list_del(&q->node);
		sigqueue_free(q);
	}
}

/* Forget the signals of `mask` (SIGCONT clears stops and the reverse). */
static void
sigpending_remove(struct sigpending *p, sigmask_t mask)
{
	struct sigqueue *q, *tmp;

	if ((p->set & mask) == 0)
		return;
	p->set &= ~mask;
	list_for_each_safe(q, tmp, &p->queue, node) {
		if ((SIGMASK(q->info.si_signo) & mask) == 0)
			continue;
		list_del(&q->node);
		sigqueue_free(q);
	}
}

struct sighand *
sighand_create(void)
{
	struct sighand *h = kcache_zalloc(sighand_cache);

	if (h == NULL)
		return NULL;
	ref_init(&h->refs, 1);
	spin_init(&h->lock, 70);
	waitq_init(&h->signalfd);
	return h;
}

struct sighand *
sighand_copy(struct sighand *from)
{
	struct sighand *h = sighand_create();

	if (h == NULL)
		return NULL;
	uint64_t flags = spin_lock_irqsave(&from->lock);
	memcpy(h->action, from->action, sizeof(h->action));
	spin_unlock_irqrestore(&from->lock, flags);
	return h;
}

void
sighand_put(struct sighand *h)
{
	if (h != NULL && ref_put(&h->refs))
		kcache_free(sighand_cache, h);
}

void
sighand_exec(struct sighand *h)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);

	for (unsigned i = 0; i < NSIG_; i++) {
		uint64_t handler = h->action[i].handler;

		memset(&h->action[i], 0, sizeof(h->action[i]));
		if (handler == SIG_IGN_)
			h->action[i].handler = SIG_IGN_;
	}
	spin_unlock_irqrestore(&h->lock, flags);
}

/* A process' sighand may be replaced by exec: lock the one that is current. */
struct sighand *
sighand_lock(struct process *p, uint64_t *flags)
{
	for (;;) {
		struct sighand *h = __atomic_load_n(&p->sighand, __ATOMIC_ACQUIRE);

		if (h == NULL)
			return NULL;
		*flags = spin_lock_irqsave(&h->lock);
		if (h == __atomic_load_n(&p->sighand, __ATOMIC_RELAXED))
			return h;
		spin_unlock_irqrestore(&h->lock, *flags);
	}
}

static void
task_work_set(struct task *t, uint32_t bits)
{
	__atomic_fetch_or(&t->work, bits, __ATOMIC_SEQ_CST);
}

static void
task_work_clear(struct task *t, uint32_t bits)
{
	__atomic_fetch_and(&t->work, ~bits, __ATOMIC_SEQ_CST);
}

void
signal_recalc(struct task *t)
{
	struct process *p = t->process;
	sigmask_t ready = (t->pending.set | p->shared_pending.set) & ~t->blocked;

	if (ready != 0 || t->stop_wanted || p->group_exit || p->continue_notify)
		task_work_set(t, TIF_SIGPENDING);
	else
		task_work_clear(t, TIF_SIGPENDING);
}

sigmask_t
signal_pending_set(struct task *t)
{
	return t->pending.set | t->process->shared_pending.set;
}

static bool
action_ignores(const struct sighand *h, int sig)
{
	uint64_t handler = h->action[sig - 1].handler;

	return handler == SIG_IGN_ ||
	    (handler == SIG_DFL_ && (SIGMASK(sig) & SIGNALS_IGNORED) != 0);
}

bool
signal_ignored_or_blocked(int sig)
{
	return (current->blocked & SIGMASK(sig)) != 0 ||
	    current->process->sighand->action[sig - 1].handler == SIG_IGN_;
}

/*
 * Would the signal have no effect at all?  A blocked one is kept: the action may
 * change before it is unblocked.  init gets only what it asked for.
 */
static bool
signal_dropped(struct process *p, struct sighand *h, struct task *t, int sig)
{
	const struct task *blocker = t != NULL ? t : p->leader;

	/* A blocked one is kept for init too: it may wait for it with sigtimedwait. */
	if (blocker != NULL && ((blocker->blocked | blocker->waited) & SIGMASK(sig)) != 0)
		return false;
	if (p == init_process && h->action[sig - 1].handler == SIG_DFL_)
		return true;
	if ((SIGMASK(sig) & SIGNALS_UNBLOCKABLE) != 0)
		return false;
	return action_ignores(h, sig);
}

/* Every thread of the process; sighand->lock is enough to walk the list. */
static void
process_remove_pending(struct process *p, sigmask_t mask)
{
	struct task *t;

	sigpending_remove(&p->shared_pending, mask);
	list_for_each(t, &p->threads, thread_node) {
		sigpending_remove(&t->pending, mask);
		signal_recalc(t);
	}
}

/* SIGCONT: whatever happens to the signal itself, the process goes on now. */
static void
process_continue(struct process *p)
{
	struct task *t;
	bool was_stopping = p->stopped || p->stop_count != 0;

	process_remove_pending(p, SIGNALS_STOP);
	if (p->stopped) {
		p->continued = true;
		p->continue_notify = true;
	}
	p->stopped = false;
	p->stop_count = 0;
	if (!was_stopping)
		return;
	list_for_each(t, &p->threads, thread_node) {
		t->stop_wanted = false;
		signal_recalc(t);
		task_wake_state(t, TASK_STOPPED);
	}
}

static long
sigpending_add(struct process *p, struct sigpending *q, int sig, const siginfo_t *info)
{
	struct sigqueue *e = NULL;
	uint64_t limit = p->rlimit_cur[RLIMIT_SIGPENDING_];

	if (sig < SIGRTMIN_ && (q->set & SIGMASK(sig)) != 0)
		return 0;
	if (p->sigqueue_count < limit || sig == SIGKILL)
		e = kcache_alloc(sigqueue_cache);
	if (e == NULL) {
		if (sig >= SIGRTMIN_ && info != NULL && info->si_code < 0)
			return -EAGAIN;
		q->set |= SIGMASK(sig);
		return 0;
	}
	memset(&e->info, 0, sizeof(e->info));
	if (info != NULL)
		e->info = *info;
	else
		e->info.si_code = SI_KERNEL;
	e->info.si_signo = sig;
	process_get(p);
	e->owner = p;
	__atomic_fetch_add(&p->sigqueue_count, 1, __ATOMIC_RELAXED);
	list_add_tail(&q->queue, &e->node);
	q->set |= SIGMASK(sig);
	return 0;
}

/* Tell a thread that it has something to look at. */
static void
task_signal_wake(struct task *t, bool fatal)
{
	unsigned states = TASK_INTERRUPTIBLE;

	if (fatal)
		states |= TASK_KILLABLE | TASK_STOPPED;
	task_work_set(t, TIF_SIGPENDING);
	if (!task_wake_state(t, states))
		task_kick(t);
}

void
signal_kill_task(struct task *t)
{
	t->pending.set |= SIGMASK(SIGKILL);
	task_signal_wake(t, true);
}

static bool
task_wants(const struct task *t, int sig)
{
	if ((t->blocked & SIGMASK(sig)) != 0)
		return false;
	return t->state != TASK_DEAD;
}

static void
process_signal_wake(struct process *p, int sig)
{
	struct task *t;

	if (sig == SIGKILL) {
		list_for_each(t, &p->threads, thread_node)
			signal_kill_task(t);
		return;
	}
	if (p->leader != NULL && task_wants(p->leader, sig) && !p->leader->stop_wanted) {
		task_signal_wake(p->leader, false);
		return;
	}
	list_for_each(t, &p->threads, thread_node) {
		if (!task_wants(t, sig))
			continue;
		task_signal_wake(t, false);
		return;
	}
}

/* t NULL: to the process.  sighand->lock is held. */
static long
signal_send_locked(struct process *p, struct task *t, int sig, const siginfo_t *info)
{
	struct sighand *h = p->sighand;
	struct sigpending *q = t != NULL ? &t->pending : &p->shared_pending;
	long error;

	if (p->zombie || (t != NULL && t->state == TASK_DEAD))
		return 0;
	if (sig == SIGCONT)
		process_continue(p);
	else if ((SIGMASK(sig) & SIGNALS_STOP) != 0)
		process_remove_pending(p, SIGMASK(SIGCONT));
	if (signal_dropped(p, h, t, sig))
		return 0;
	error = sigpending_add(p, q, sig, info);
	if (error != 0)
		return error;
	waitq_wake(&h->signalfd, ~0u, 0);
	if (t == NULL || sig == SIGKILL)
		process_signal_wake(p, sig);
	else if (task_wants(t, sig))
		task_signal_wake(t, false);
	return 0;
}

/* Who is found by its number is there: a zombie takes every signal, and nothing comes of it (kill(2)). */
long
signal_send_process(struct process *p, int sig, const siginfo_t *info)
{
	uint64_t flags;
	struct sighand *h = sighand_lock(p, &flags);
	long error;

	if (h == NULL)
		return 0;
	error = signal_send_locked(p, NULL, sig, info);
	spin_unlock_irqrestore(&h->lock, flags);
	return error;
}

long
signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
	uint64_t flags;
	struct sighand *h = sighand_lock(t->process, &flags);
	long error;

	if (h == NULL)
		return 0;
	error = signal_send_locked(t->process, t, sig, info);
	spin_unlock_irqrestore(&h->lock, flags);
	return error;
}

long
signal_send_group(int pgid, int sig, const siginfo_t *info)
{
	struct process *p;
	long result = -ESRCH;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(p, &process_list, all) {
		if (p->pgid != pgid || p->zombie)
			continue;
		long error = sig == 0 ? 0 : signal_send_process(p, sig, info);

		if (result == -ESRCH || error == 0)
			result = error;
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return result;
}

void
signal_force(int sig, int code, uint64_t addr)
{
	struct task *t = current;
	struct sighand *h = t->process->sighand;
	siginfo_t info = { 0 };
	uint64_t flags = spin_lock_irqsave(&h->lock);
	struct sigact *act = &h->action[sig - 1];

	/* A fault that is blocked or ignored cannot be: it would come for ever. */
	if ((t->blocked & SIGMASK(sig)) != 0 || act->handler == SIG_IGN_) {
		act->handler = SIG_DFL_;
		t->blocked &= ~SIGMASK(sig);
	}
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)addr;
	sigpending_remove(&t->pending, SIGMASK(sig));
	sigpending_add(t->process, &t->pending, sig, &info);
	task_work_set(t, TIF_SIGPENDING);
	spin_unlock_irqrestore(&h->lock, flags);
}

static bool
sigpending_take(struct sigpending *p, int sig, siginfo_t *info)
{
	struct sigqueue *q, *tmp, *found = NULL;
	bool more = false;

	if ((p->set & SIGMASK(sig)) == 0)
		return false;
	list_for_each_safe(q, tmp, &p->queue, node) {
		if (q->info.si_signo != sig)
			continue;
		if (found == NULL)
			found = q;
		else
			more = true;
	}
	if (!more)
		p->set &= ~SIGMASK(sig);
	if (found == NULL) {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		info->si_code = SI_USER;
		return true;
	}
	*info = found->info;
	list_del(&found->node);
	sigqueue_free(found);
	return true;
}

/* Synchronous signals first, then the lowest number, as Linux orders them. */
static int
sigmask_first(sigmask_t set)
{
	if ((set & SIGNALS_SYNCHRONOUS) != 0)
		set &= SIGNALS_SYNCHRONOUS;
	return __builtin_ctzll(set) + 1;
}

int
signal_dequeue(struct task *t, sigmask_t mask, siginfo_t *info)
{
	struct sigpending *queue[2] = { &t->pending, &t->process->shared_pending };

	if ((signal_pending_set(t) & mask & SIGMASK(SIGKILL)) != 0)
		mask = SIGMASK(SIGKILL);
	for (unsigned i = 0; i < 2; i++) {
		sigmask_t ready = queue[i]->set & mask;

		if (ready == 0)
			continue;
		int sig = sigmask_first(ready);

		sigpending_take(queue[i], sig, info);
		signal_recalc(t);
		return sig;
	}
	return 0;
}

bool
signal_fatal_pending(struct task *t)
{
	return t->process->group_exit || (t->pending.set & SIGMASK(SIGKILL)) != 0 ||
	    (t->process->shared_pending.set & SIGMASK(SIGKILL)) != 0;
}

void
signal_block(sigmask_t blocked)
{
	struct task *t = current, *other;
	struct process *p = t->process;
	struct sighand *h = p->sighand;
	uint64_t flags;
	sigmask_t newly;

	blocked &= ~SIGNALS_UNBLOCKABLE;
	if (blocked == t->blocked)
		return;
	flags = spin_lock_irqsave(&h->lock);
	newly = blocked & ~t->blocked;
	t->blocked = blocked;
	signal_recalc(t);
	/* Somebody else may have to take what this thread now refuses. */
	if ((p->shared_pending.set & newly) != 0) {
		list_for_each(other, &p->threads, thread_node) {
			if (other != t && (p->shared_pending.set & newly & ~other->blocked) != 0)
				task_signal_wake(other, false);
		}
	}
	spin_unlock_irqrestore(&h->lock, flags);
}

/* sigaction(2): setting a signal to be ignored discards what is pending of it. */
void
signal_discard_ignored(struct process *p, int sig)
{
	uint64_t flags;
	struct sighand *h = sighand_lock(p, &flags);

	if (h == NULL)
		return;
	if (action_ignores(h, sig))
		process_remove_pending(p, SIGMASK(sig));
	spin_unlock_irqrestore(&h->lock, flags);
}
