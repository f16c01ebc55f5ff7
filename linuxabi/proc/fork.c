/* SPDX-License-Identifier: MIT */
/*
 * clone, clone3, and with them fork, vfork, posix_spawn and threads.
 *
 * Everything that can fail is done before the child is linked anywhere; linking
 * is one critical section under tasklist_lock, after which the child exists.
 */
#include <linux/sched.h>
#include "internal.h"
#include "syscall.h"

enum { RL_NPROC_ = 6 };

#define CLONE_NEW_ANY \
	((uint64_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER \
	    | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define CLONE3_FLAGS \
	((0xffffff00UL & ~(uint64_t)CLONE_DETACHED) | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | CLONE_NEWTIME)

static long
check_flags(uint64_t f)
{
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_PARENT) && current->process == init_process)
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & (CLONE_THREAD | CLONE_DETACHED)))
		return -EINVAL;
	/* There is one set of namespaces, as on a kernel built without them. */
	if (f & CLONE_NEW_ANY)
		return -EINVAL;
	return 0;
}

/*
 * RLIMIT_NPROC holds for root too where it was lowered: it is what keeps a
 * fork bomb typed at the first shell within bounds.
 */
static long
charge_task(void)
{
	if (!tasks_charge())
		return -EAGAIN;
	if (user_task_charge(current->cred->uid, rlimit(RL_NPROC_)))
		return 0;
	tasks_uncharge();
	return -EAGAIN;
}

/* --- the parts of a child --- */

static void
child_sched(struct task *t, const struct task *parent)
{
	t->nice = parent->nice;
	t->ioprio = parent->ioprio;
	t->policy = parent->policy;
	t->rt_priority = parent->rt_priority;
	t->affinity = parent->affinity;
	t->vruntime = parent->vruntime;
	t->cpu = parent->cpu;
}

static void
child_signals(struct task *t, const struct task *parent, uint64_t flags)
{
	t->blocked = parent->blocked;
	if ((flags & CLONE_VM) && !(flags & CLONE_VFORK))
		return;			/* a thread has no alternate stack */
	t->sigalt_sp = parent->sigalt_sp;
	t->sigalt_size = parent->sigalt_size;
	t->sigalt_flags = parent->sigalt_flags;
}

static long
child_files(struct task *t, struct task *parent, uint64_t flags)
{
	if (flags & CLONE_FILES) {
		ref_get(&parent->files->refs);
		t->files = parent->files;
	} else {
		t->files = files_copy(parent->files);
	}
	if (t->files == NULL)
		return -ENOMEM;
	if (flags & CLONE_FS) {
		ref_get(&parent->fs->refs);
		t->fs = parent->fs;
	} else {
		t->fs = fs_context_copy(parent->fs);
	}
	return t->fs != NULL ? 0 : -ENOMEM;
}

static long
child_mm(struct task *t, struct task *parent, uint64_t flags)
{
	struct mm *mm;

	if (flags & CLONE_VM) {
		mm_get(parent->mm);
		mm = parent->mm;
	} else {
		mm = mm_fork(parent->mm);
	}
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	t->mm = mm;
	return 0;
}

static long
child_process(struct task *t, struct task *parent, const struct fork_request *q)
{
	struct process *from = parent->process, *p;

	if (q->flags & CLONE_THREAD) {
		process_get(from);
		t->process = from;
		return 0;
	}
	p = process_create();
	if (p == NULL)
		return -ENOMEM;
	process_get(p);
	t->process = p;
	if (q->flags & CLONE_SIGHAND) {
		ref_get(&from->sighand->refs);
		p->sighand = from->sighand;
	} else if (q->flags & CLONE_CLEAR_SIGHAND) {
		p->sighand = sighand_copy(from->sighand);
		if (p->sighand != NULL)
			sighand_exec(p->sighand);
	} else {
		p->sighand = sighand_copy(from->sighand);
	}
	if (p->sighand == NULL)
		return -ENOMEM;
	memcpy(p->rlimit_cur, from->rlimit_cur, sizeof(p->rlimit_cur));
	memcpy(p->rlimit_max, from->rlimit_max, sizeof(p->rlimit_max));
	p->dumpable = from->dumpable;
	p->oom_score_adj = from->oom_score_adj;
	p->exit_signal = q->exit_signal;
	p->leader = t;
	process_timers_init(p);
	return 0;
}

static void
child_registers(struct task *t, const struct fork_request *q)
{
	arch_task_init_fork(t, current->regs);
	arch_fp_fork(t);
	if (q->stack != 0)
		t->regs->sp = q->stack;
	if (q->flags & CLONE_SETTLS)
		t->tpidr_el0 = q->tls;
}

/* Undo a child that was never linked. */
static void
child_drop(struct task *t)
{
	struct process *p = t->process;

	if (t->mm != NULL)
		mm_put(t->mm);
	t->mm = NULL;
	if (t->fs != NULL)
		fs_context_put(t->fs);
	if (t->files != NULL)
		files_put(t->files);
	if (p != NULL && p->leader == t) {
		if (p->sighand != NULL)
			sighand_put(p->sighand);
		p->leader = NULL;
		process_put(p);		/* the creator's; the task has its own below */
	}
	task_put(t);
	task_put(t);
}

static struct task *
child_create(const struct fork_request *q)
{
	struct task *parent = current, *t = task_create();
	long r;

	if (t == NULL)
		return ERR_PTR(-ENOMEM);
	memcpy(t->comm, parent->comm, sizeof(t->comm));
	ref_get(&parent->cred->refs);
	t->cred = parent->cred;
	t->personality = parent->personality;
	child_sched(t, parent);
	child_signals(t, parent, q->flags);
	if (q->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = q->child_tid;
	if (q->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = q->child_tid;
	r = child_process(t, parent, q);
	if (r == 0)
		r = child_files(t, parent, q->flags);
	if (r == 0)
		r = child_mm(t, parent, q->flags);
	if (r != 0) {
		child_drop(t);
		return ERR_PTR(r);
	}
	child_registers(t, q);
	return t;
}

/* --- becoming visible --- */

static void
link_thread(struct task *t, struct process *p)
{
	spin_lock(&p->sighand->lock);
	list_add_tail(&p->threads, &t->thread_node);
	p->thread_count++;
	spin_unlock(&p->sighand->lock);
}

static void
link_process(struct task *t, uint64_t flags)
{
	struct process *p = t->process, *from = current->process;

	p->pid = t->tid;
	p->parent = (flags & CLONE_PARENT) ? from->parent : from;
	p->ppid = p->parent->pid;
	if (flags & CLONE_PARENT)
		p->exit_signal = from->exit_signal;
	process_set_group_locked(p, from->pgid);
	process_set_session_locked(p, from->sid);
	p->tty = from->tty;
	if (p->tty != NULL)
		tty_get(p->tty);
	list_add_tail(&p->parent->children, &p->sibling);
	list_add_tail(&process_list, &p->all);
}

/* A signal that came before the child exists must reach both or be seen first. */
static long
link_child(struct task *t, uint64_t flags)
{
	struct process *from = current->process;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	int tid;

	if (signal_fatal_pending(current) || from->exec_task != NULL
	    || (!(flags & CLONE_THREAD) && signal_pending())) {
		spin_unlock_irqrestore(&tasklist_lock, irq);
		return -ERESTARTNOINTR;
	}
	tid = tid_alloc_locked();
	if (tid < 0) {
		spin_unlock_irqrestore(&tasklist_lock, irq);
		return tid;
	}
	t->tid = tid;
	if (!(flags & CLONE_THREAD))
		link_process(t, flags);
	link_thread(t, t->process);
	task_hash_locked(t);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return tid;
}

/* --- vfork --- */

/*
 * The parent sleeps until the child has another address space or none.  The child
 * completes under tasklist_lock, so after taking it once nobody looks at `done`.
 */
static void
vfork_wait(struct task *child, struct completion *done)
{
	uint64_t irq;

	completion_wait_killable(done);
	irq = spin_lock_irqsave(&tasklist_lock);
	child->vfork_done = NULL;
	spin_unlock_irqrestore(&tasklist_lock, irq);
}

/* The child's memory is still private to us: its tid goes where it asked. */
static void
store_tids(struct task *t, const struct fork_request *q, int tid)
{
	uint32_t v = (uint32_t)tid;

	if (q->flags & CLONE_PARENT_SETTID)
		(void)put_user_u32(q->parent_tid, v);
	if (!(q->flags & CLONE_CHILD_SETTID))
		return;
	if (q->flags & CLONE_VM)
		(void)put_user_u32(q->child_tid, v);
	else
		(void)mm_access(t->mm, q->child_tid, &v, sizeof(v), true);
}

/* A pidfd for a child that is not linked yet; its number is stored already. */
static long
prepare_pidfd(struct task *t, const struct fork_request *q, int *fd)
{
	struct file *f = pidfd_create(t->process, 0);

	*fd = -1;
	if (IS_ERR(f))
		return PTR_ERR(f);
	*fd = fd_install(f, 0, true);
	if (*fd < 0) {
		file_put(f);
		return *fd;
	}
	if (put_user_u32(q->pidfd, (uint32_t)*fd) != 0) {
		fd_close(*fd);
		*fd = -1;
		return -EFAULT;
	}
	return 0;
}

/* A child with its number, in all lists, not started. */
static struct task *
make_child(const struct fork_request *q)
{
	struct task *t = child_create(q);
	int fd = -1;
	long r = 0;

	if (IS_ERR(t))
		return t;
	if (q->flags & CLONE_PIDFD)
		r = prepare_pidfd(t, q, &fd);
	if (r == 0)
		r = link_child(t, q->flags);
	if (r >= 0)
		return t;
	if (fd >= 0)
		fd_close(fd);
	child_drop(t);
	return ERR_PTR(r);
}

long
do_fork(const struct fork_request *q)
{
	uint32_t uid = current->cred->uid;
	struct completion vfork;
	struct task *t;
	long r = check_flags(q->flags);

	if (r == 0)
		r = charge_task();
	if (r != 0)
		return r;
	t = make_child(q);
	if (IS_ERR(t)) {
		tasks_uncharge();
		user_task_uncharge(uid);
		return PTR_ERR(t);
	}
	r = t->tid;
	store_tids(t, q, (int)r);
	if (!(q->flags & CLONE_VFORK)) {
		sched_start(t);
		return r;
	}
	completion_init(&vfork);
	t->vfork_done = &vfork;
	task_get(t);
	sched_start(t);
	vfork_wait(t, &vfork);
	task_put(t);
	return r;
}

/* AArch64: flags, stack, parent_tid, tls, child_tid. */
long
sys_clone(uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t tls, uint64_t child_tid)
{
	struct fork_request q = {
		.flags = flags & 0xffffff00UL, .exit_signal = (int)(flags & CSIGNAL),
		.stack = stack, .parent_tid = parent_tid, .tls = tls, .child_tid = child_tid,
		.pidfd = parent_tid,
	};

	if ((q.flags & CLONE_PIDFD) && (q.flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
		return -EINVAL;
	q.flags &= ~(uint64_t)CLONE_DETACHED;
	return do_fork(&q);
}

static long
clone3_args(struct clone_args *a, uaddr_t from, uint64_t size)
{
	memset(a, 0, sizeof(*a));
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	for (uint64_t o = sizeof(*a); o < size; o++) {	/* what we do not know must be 0 */
		uint8_t b;

		if (get_user_u8(&b, from + o) != 0)
			return -EFAULT;
		if (b != 0)
			return -E2BIG;
	}
	return copy_from_user(a, from, min(size, (uint64_t)sizeof(*a)));
}

long
sys_clone3(uint64_t args, uint64_t size)
{
	struct clone_args a;
	struct fork_request q;
	long r = clone3_args(&a, args, size);

	if (r != 0)
		return r;
	if ((a.flags & ~(uint64_t)CLONE3_FLAGS) || (a.exit_signal & ~(uint64_t)CSIGNAL) || a.exit_signal > NSIG_)
		return -EINVAL;
	if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal != 0)
		return -EINVAL;
	if (a.flags & CLONE_INTO_CGROUP)
		return -EINVAL;
	if ((a.stack == 0) != (a.stack_size == 0) || (a.set_tid != 0) != (a.set_tid_size != 0))
		return -EINVAL;
	if (a.stack != 0 && !user_range_ok(a.stack, a.stack_size))
		return -EINVAL;
	if (a.set_tid_size != 0)
		return a.set_tid_size > 32 ? -EINVAL : -EPERM;
	q = (struct fork_request){
		.flags = a.flags, .exit_signal = (int)a.exit_signal, .pidfd = a.pidfd,
		.child_tid = a.child_tid, .parent_tid = a.parent_tid,
		.stack = a.stack != 0 ? a.stack + a.stack_size : 0, .tls = a.tls,
	};
	return do_fork(&q);
}
