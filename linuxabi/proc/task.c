/* SPDX-License-Identifier: MIT */
/*
 * Tasks and processes as objects: memory, numbers, lookups, kernel threads.
 *
 * A number is in use as long as a task, a process group or a session carries it;
 * id_uses counts that, so that a number is not given away while kill(-pgid)
 * could still mean its old owner.
 */
#include "internal.h"

enum { TID_BUCKETS = 1024, GROUP_BUCKETS = 256, TID_FIRST = 300 /* after the first round, as Linux */, TASK_RAM = 64 << 10 };

spinlock_t tasklist_lock = SPINLOCK_INIT(60);
struct list process_list = LIST_INIT(process_list);
struct process *init_process;
struct process kernel_process;

static struct kcache *task_cache, *process_cache;
static struct list tid_table[TID_BUCKETS], group_table[GROUP_BUCKETS];
static uint16_t id_uses[PID_MAX];
static int last_tid;
static int task_total;

void
proc_init(void)
{
	task_cache = kcache_create("task", sizeof(struct task), 64);
	process_cache = kcache_create("process", sizeof(struct process), 64);
	if (task_cache == NULL || process_cache == NULL)
		panic("proc_init: no memory");
	for (unsigned i = 0; i < TID_BUCKETS; i++)
		list_init(&tid_table[i]);
	for (unsigned i = 0; i < GROUP_BUCKETS; i++)
		list_init(&group_table[i]);
	id_uses[0] = 1;
	ref_init(&kernel_process.refs, 1);
	list_init(&kernel_process.threads);
	list_init(&kernel_process.children);
	list_init(&kernel_process.sibling);
	list_init(&kernel_process.all);
	list_init(&kernel_process.posix_timers);
	waitq_init(&kernel_process.child_wait);
	waitq_init(&kernel_process.exit_wait);
	sigpending_init(&kernel_process.shared_pending);
	kernel_process.sighand = sighand_create();
	for (unsigned i = 0; i < RLIMITS; i++)
		kernel_process.rlimit_cur[i] = kernel_process.rlimit_max[i] = UINT64_MAX;
}

/* --- numbers --- */

int
tid_alloc_locked(void)
{
	for (int n = 0; n < PID_MAX; n++) {
		if (++last_tid >= PID_MAX)
			last_tid = TID_FIRST;
		if (id_uses[last_tid] == 0) {
			id_uses[last_tid] = 1;
			return last_tid;
		}
	}
	return -EAGAIN;
}

void
tid_use_locked(int id)
{
	id_uses[id]++;
}

void
tid_release_locked(int id)
{
	assert(id_uses[id] > 0);
	id_uses[id]--;
}

void
task_hash_locked(struct task *t)
{
	list_add(&tid_table[(unsigned)t->tid % TID_BUCKETS], &t->tid_node);
}

void
task_unhash_locked(struct task *t)
{
	list_del(&t->tid_node);
}

struct task *
task_find_locked(int tid)
{
	struct task *t;

	if (tid <= 0 || tid >= PID_MAX)
		return NULL;
	list_for_each(t, &tid_table[(unsigned)tid % TID_BUCKETS], tid_node)
		if (t->tid == tid)
			return t;
	return NULL;
}

struct process *
process_find_locked(int pid)
{
	struct task *t = task_find_locked(pid);

	return t != NULL && t->process->pid == pid ? t->process : NULL;
}

struct task *
task_find(int tid)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct task *t = task_find_locked(tid);

	if (t != NULL)
		task_get(t);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return t;
}

struct process *
process_find(int pid)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct process *p = process_find_locked(pid);

	if (p != NULL)
		process_get(p);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return p;
}

struct list *
group_bucket_locked(int pgid)
{
	return &group_table[(unsigned)pgid % GROUP_BUCKETS];
}

void
process_set_group_locked(struct process *p, int pgid)
{
	list_del(&p->group_node);
	list_add(group_bucket_locked(pgid), &p->group_node);
	tid_use_locked(pgid);
	if (p->pgid != 0)
		tid_release_locked(p->pgid);
	p->pgid = pgid;
}

void
process_set_session_locked(struct process *p, int sid)
{
	tid_use_locked(sid);
	if (p->sid != 0)
		tid_release_locked(p->sid);
	p->sid = sid;
}

/* --- memory --- */

unsigned
tasks_count(void)
{
	return (unsigned)__atomic_load_n(&task_total, __ATOMIC_RELAXED);
}

bool
tasks_charge(void)
{
	if ((unsigned)__atomic_add_fetch(&task_total, 1, __ATOMIC_RELAXED) <= tasks_max())
		return true;
	tasks_uncharge();
	return false;
}

void
tasks_uncharge(void)
{
	__atomic_fetch_sub(&task_total, 1, __ATOMIC_RELAXED);
}

void
task_uncharge(const struct task *t)
{
	tasks_uncharge();
	user_task_uncharge(t->cred->uid);
}

unsigned
tasks_max(void)
{
	uint64_t n = (pages_total() << PAGE_SHIFT) / TASK_RAM;

	return (unsigned)min(n, (uint64_t)PID_MAX - 512);
}

struct task *
task_create(void)
{
	struct task *t = kcache_zalloc(task_cache);
	struct page *stack;

	if (t == NULL)
		return NULL;
	stack = pages_alloc(KSTACK_ORDER, 0);
	if (stack == NULL) {
		kcache_free(task_cache, t);
		return NULL;
	}
	t->kstack = page_virt(stack);
	ref_init(&t->refs, 2);
	list_init(&t->thread_node);
	list_init(&t->tid_node);
	list_init(&t->robust_pi);
	sigpending_init(&t->pending);
	t->syscall_nr = -1;
	t->affinity = UINT64_MAX;
	t->fp.cpu = ~0u;
	t->start_ns = clock_monotonic();
	return t;
}

void
task_get(struct task *t)
{
	ref_get(&t->refs);
}

void
task_put(struct task *t)
{
	if (!ref_put(&t->refs))
		return;
	pages_free(virt_to_page(t->kstack), KSTACK_ORDER);
	if (t->cred != NULL)
		cred_put(t->cred);
	if (t->process != NULL && t->process != &kernel_process && !t->process_weak)
		process_put(t->process);
	kcache_free(task_cache, t);
}

struct process *
process_create(void)
{
	struct process *p = kcache_zalloc(process_cache);

	if (p == NULL)
		return NULL;
	ref_init(&p->refs, 1);
	list_init(&p->threads);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all);
	list_init(&p->group_node);
	list_init(&p->session_node);
	list_init(&p->posix_timers);
	waitq_init(&p->child_wait);
	waitq_init(&p->exit_wait);
	sigpending_init(&p->shared_pending);
	p->dumpable = true;
	p->start_ns = clock_monotonic();
	return p;
}

void
process_get(struct process *p)
{
	ref_get(&p->refs);
}

/*
 * A process keeps its leader to the end, so who holds a process may look at it.
 * The leader's own hold ended when the process was reaped (process_weak).
 */
void
process_put(struct process *p)
{
	struct task *leader;

	if (!ref_put(&p->refs))
		return;
	leader = p->leader;
	if (leader != NULL) {
		WRITE_ONCE(leader->process, &kernel_process);
		task_put(leader);
	}
	kcache_free(process_cache, p);
}

/* --- kernel threads --- */

struct kthread_start {
	void (*fn)(void *);
	void *arg;
};

static void
kthread_main(void *arg)
{
	struct kthread_start s = *(struct kthread_start *)arg;

	kfree(arg);
	s.fn(s.arg);
	task_exit(0);
}

struct task *
task_alloc(const char *name)
{
	struct task *t = task_create();

	if (t == NULL)
		return NULL;
	strlcpy(t->comm, name, sizeof(t->comm));
	t->kernel_thread = true;
	t->process = &kernel_process;
	t->cred = cred_init_root();
	if (t->cred == NULL) {
		task_put(t);
		task_put(t);
		return NULL;
	}
	return t;
}

struct task *
kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	struct kthread_start *s = kmalloc(sizeof(*s));
	struct task *t = s != NULL ? task_alloc(name) : NULL;

	if (t == NULL) {
		kfree(s);
		return NULL;
	}
	s->fn = fn;
	s->arg = arg;
	arch_task_init(t, kthread_main, s);
	sched_start(t);
	return t;
}
