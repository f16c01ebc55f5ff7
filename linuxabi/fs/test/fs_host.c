/* SPDX-License-Identifier: MIT */
/* What fs_host.h promises. */
#include "fs_host.h"
#include "io.h"

enum { RAM_PAGES = 16384 };

void io_page_freed(struct page *);
void radix_init(void);

static struct task host_task;
static struct process host_process;
static struct sighand host_sighand;
struct cred host_cred;
uint64_t host_limits[RLIMITS];
unsigned host_signals[65];
long host_wait_result;
void (*host_wait_hook)(void);
long host_objects;
spinlock_t tasklist_lock;
struct list process_list = LIST_INIT(process_list);
struct process *init_process = &host_process;
unsigned host_chunk_pages;
struct page *page_array;
uint64_t page_base;

struct task *arch_current(void) { return &host_task; }
uint64_t arch_hwcap(void) { return 3; }
void arch_cpu_relax(void) { }
uint64_t rlimit(unsigned r) { return host_limits[r]; }

/* ---- locks: one thread, so a lock that is taken twice is a bug ---- */

void spin_init(spinlock_t *l, unsigned rank) { l->rank = rank; l->next = 0; }
void spin_lock(spinlock_t *l) { CHECK(l->next == 0); l->next = 1; }
void spin_unlock(spinlock_t *l) { CHECK(l->next == 1); l->next = 0; }
uint64_t spin_lock_irqsave(spinlock_t *l) { spin_lock(l); return 0; }
void spin_unlock_irqrestore(spinlock_t *l, uint64_t f) { (void)f; spin_unlock(l); }
void mutex_init(struct mutex *m, unsigned rank) { m->owner = NULL; m->rank = rank; }
void mutex_lock(struct mutex *m) { CHECK(m->owner == NULL); m->owner = &host_task; }
void mutex_unlock(struct mutex *m) { CHECK(m->owner != NULL); m->owner = NULL; }
bool mutex_held(const struct mutex *m) { return m->owner != NULL; }
bool ref_get_unless_zero(refcount_t *r) { return r->n > 0 && r->n++; }
bool ref_put(refcount_t *r) { CHECK(r->n > 0); return --r->n == 0; }
void ref_get(refcount_t *r) { CHECK(r->n > 0); r->n++; }

void waitq_init(struct waitq *q) { spin_init(&q->lock, 80); list_init(&q->waiters); }
static bool wake_nobody(struct waiter *w, unsigned long key) { (void)w, (void)key; return true; }
void waiter_init(struct waiter *w) { list_init(&w->node); w->task = &host_task; w->exclusive = false; w->wake = wake_nobody; }
void waitq_add(struct waitq *q, struct waiter *w) { list_add(&q->waiters, &w->node); }
void waitq_add_exclusive(struct waitq *q, struct waiter *w) { w->exclusive = true; list_add_tail(&q->waiters, &w->node); }
void waitq_remove(struct waitq *q, struct waiter *w) { (void)q; list_del(&w->node); }

unsigned
waitq_wake(struct waitq *q, unsigned n, unsigned long key)
{
	struct waiter *w, *next;
	unsigned woken = 0;

	list_for_each_safe(w, next, &q->waiters, node)
		if (w->wake(w, key)) {
			woken++;
			if (w->exclusive && --n == 0)
				break;
		}
	return woken;
}

void task_prepare_wait(unsigned s) { (void)s; }
void task_finish_wait(void) { }

long
task_wait(uint64_t deadline)
{
	if (host_wait_hook != NULL) {
		host_wait_hook();
		return 0;
	}
	if (deadline != UINT64_MAX)
		return -ETIMEDOUT;
	CHECK(host_wait_result != 0);
	return host_wait_result;
}

bool task_wake(struct task *t) { (void)t; return true; }
void cond_resched(void) { }
unsigned cpu_count(void) { return 1; }

/* ---- memory ---- */

struct kcache { size_t size; };
struct kcache *
kcache_create(const char *name, size_t size, size_t align)
{
	struct kcache *c = malloc(sizeof(*c));

	(void)name, (void)align;
	c->size = size;
	return c;
}
void *kcache_alloc(struct kcache *c) { host_objects++; return malloc(c->size); }
void *kcache_zalloc(struct kcache *c) { host_objects++; return calloc(1, c->size); }
void kcache_free(struct kcache *c, void *p) { (void)c; host_objects--; free(p); }
void *kmalloc(size_t n) { host_objects++; return malloc(n); }
void *kzalloc(size_t n) { host_objects++; return calloc(1, n); }
void *krealloc(void *p, size_t n) { host_objects += p == NULL; return realloc(p, n); }
void kfree(void *p) { host_objects -= p != NULL; free(p); }

static struct page *free_pages;
static uint64_t free_count;

struct page *
page_alloc(unsigned flags)
{
	struct page *p = free_pages;

	if (p == NULL)
		return NULL;
	free_pages = (struct page *)p->private_;
	free_count--;
	p->mapping = NULL;
	ref_init(&p->refs, 1);
	/* What is not cleared is not zero, so that a test notices. */
	memset(page_virt(p), flags & PG_ZERO ? 0 : 0xa5, PAGE_SIZE);
	return p;
}

void page_get(struct page *p) { CHECK(p->refs.n > 0); p->refs.n++; }

void
page_put(struct page *p)
{
	CHECK(p->refs.n > 0);
	if (--p->refs.n != 0)
		return;
	if (p->flags & PGF_IO) {
		io_page_freed(p);
		return;
	}
	p->private_ = (uint64_t)free_pages;
	free_pages = p;
	free_count++;
}

uint64_t pages_total(void) { return RAM_PAGES; }
uint64_t pages_free_count(void) { return free_count; }
uint64_t pages_cached(void) { return 0; }
uint64_t pages_slab(void) { return 0; }
uint64_t pages_anon(void) { return 0; }
uint64_t pages_tables(void) { return 0; }

/* ---- blocks for the pool of lent pages: the first host_chunk_pages of RAM ---- */

static struct page *chunk_free[RAM_PAGES / IO_CHUNK_PAGES];
static unsigned chunks_free, chunk_next;

struct page *
pages_alloc(unsigned order, unsigned flags)
{
	struct page *p;

	(void)flags;
	CHECK(order == IO_CHUNK_ORDER);
	if (chunks_free > 0) {
		p = chunk_free[--chunks_free];
	} else if (chunk_next + IO_CHUNK_PAGES <= host_chunk_pages) {
		p = &page_array[chunk_next];
		chunk_next += IO_CHUNK_PAGES;
	} else {
		return NULL;
	}
	ref_init(&p->refs, 1);
	memset(page_virt(p), 0xa5, (size_t)IO_CHUNK_PAGES * PAGE_SIZE);
	return p;
}

void pages_free(struct page *p, unsigned order) { CHECK(order == IO_CHUNK_ORDER); chunk_free[chunks_free++] = p; }
void page_clear(void *p) { memset(p, 0, PAGE_SIZE); }
void pages_account(unsigned kind, long n) { (void)kind, (void)n; }
long arch_lend(ipa_t a, uint64_t n, uint32_t *h) { (void)a, (void)n; *h = 1; return 0; }
void arch_unlend(uint32_t h) { CHECK(h == 1); }
void arch_lend_init(const struct world_info *w) { (void)w; }
uint64_t irq_save(void) { return 0; }
void irq_restore(uint64_t f) { (void)f; }
bool mutex_trylock(struct mutex *m) { if (m->owner != NULL) return false; mutex_lock(m); return true; }
void mm_unlock(struct mm *m) { mutex_unlock(&m->lock); }
void mm_unref(struct mm *m) { (void)m; }
void zap_range(struct mm *m, uaddr_t s, uaddr_t e) { (void)m, (void)s, (void)e; }
void task_exit(int code) { (void)code; abort(); }

/* A test with a server has its own. */
__attribute__((weak)) void hyp_signal(uint32_t slot) { (void)slot; }
__attribute__((weak)) struct task *
kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	(void)name, (void)fn, (void)arg;
	return NULL;
}

/* ---- user memory: the test's own; below 4096 is a bad address ---- */

static bool bad(uaddr_t a, size_t n) { return n != 0 && a < 4096; }
long copy_from_user(void *d, uaddr_t s, size_t n) { if (bad(s, n)) return -EFAULT; memcpy(d, (void *)s, n); return 0; }
long copy_to_user(uaddr_t d, const void *s, size_t n) { if (bad(d, n)) return -EFAULT; memcpy((void *)d, s, n); return 0; }
long get_user_u8(uint8_t *v, uaddr_t a) { return copy_from_user(v, a, 1); }
long get_user_u32(uint32_t *v, uaddr_t a) { return copy_from_user(v, a, 4); }
long get_user_u64(uint64_t *v, uaddr_t a) { return copy_from_user(v, a, 8); }
long put_user_u32(uaddr_t a, uint32_t v) { return copy_to_user(a, &v, 4); }
long put_user_u64(uaddr_t a, uint64_t v) { return copy_to_user(a, &v, 8); }

long
strncpy_from_user(char *d, uaddr_t s, size_t size)
{
	if (bad(s, 1))
		return -EFAULT;
	for (size_t n = 0; n < size; n++)
		if ((d[n] = ((char *)s)[n]) == '\0')
			return (long)n;
	return -ENAMETOOLONG;
}

void
uio_user(struct uio *u, uaddr_t base, size_t len)
{
	u->single = (struct iov){ base, len };
	u->iov = &u->single;
	u->count = 1;
	u->offset = 0;
	u->resid = len;
	u->kernel = false;
}

void uio_kernel(struct uio *u, void *base, size_t len) { uio_user(u, (uaddr_t)base, len); u->kernel = true; }

long
uio_user_vec(struct uio *u, uaddr_t vec, unsigned count, struct iov *iov, unsigned max)
{
	if (count > max)
		return -EINVAL;
	if (copy_from_user(iov, vec, count * sizeof(iov[0])) < 0)
		return -EFAULT;
	*u = (struct uio){ .iov = iov, .count = count };
	for (unsigned i = 0; i < count; i++)
		u->resid += iov[i].len;
	return 0;
}

/* to: into the uio; NULL data: zeros */
static size_t
uio_move(struct uio *u, char *data, size_t n, bool to, bool zero)
{
	size_t done = 0;

	n = min(n, u->resid);
	while (done < n) {
		size_t part = min(n - done, (size_t)u->iov->len - u->offset);
		char *p = (char *)u->iov->base + u->offset;

		if (part == 0) {
			u->iov++;
			u->count--;
			u->offset = 0;
			continue;
		}
		if (bad((uaddr_t)p, part))
			break;
		if (zero)
			memset(p, 0, part);
		else if (to)
			memcpy(p, data + done, part);
		else
			memcpy(data + done, p, part);
		u->offset += part;
		u->resid -= part;
		done += part;
	}
	return done;
}

size_t uio_put(struct uio *u, const void *s, size_t n) { return uio_move(u, (char *)(uint64_t)s, n, true, false); }
size_t uio_get(struct uio *u, void *d, size_t n) { return uio_move(u, d, n, false, false); }
size_t uio_zero(struct uio *u, size_t n) { return uio_move(u, NULL, n, true, true); }

/* ---- the rest of the personality ---- */

static uint64_t now = 1000000000ULL * 1000000;
uint64_t clock_realtime(void) { return now += 1000; }
uint64_t clock_monotonic(void) { return now += 1000; }
uint64_t clock_hz(void) { return 62500000; }
uint64_t uptime_boot_ns(void) { return now; }
bool timespec_valid(const struct __kernel_timespec *t) { return t->tv_sec >= 0 && (uint64_t)t->tv_nsec < 1000000000; }
struct __kernel_timespec ns_timespec(uint64_t ns) { return (struct __kernel_timespec){ (long)(ns / 1000000000), (long)(ns % 1000000000) }; }

long signal_send_task(struct task *t, int sig, const siginfo_t *i) { (void)t, (void)i; host_signals[sig]++; return 0; }
bool signal_fatal_pending(struct task *t) { (void)t; return false; }
long signal_set_user_mask(uaddr_t m, size_t n) { (void)m, (void)n; return 0; }
void signal_restore_mask(void) { }
void timer_signal_taken(int sig, siginfo_t *i) { (void)sig, (void)i; }
int signal_dequeue(struct task *t, sigmask_t m, siginfo_t *i) { (void)t, (void)m, (void)i; return 0; }

void klog(int level, const char *fmt, ...) { (void)level, (void)fmt; }

void
panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("panic: %s\n", text);
	fflush(0);
	abort();
}

int kvsnprintf(char *b, size_t n, const char *fmt, va_list ap) { return vsnprintf(b, n, fmt, ap); }

int
ksnprintf(char *b, size_t n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(b, n, fmt, ap);
	va_end(ap);
	return r;
}

size_t
strlcpy(char *d, const char *s, size_t n)
{
	size_t len = strlen(s);

	if (n != 0) {
		memcpy(d, s, min(len, n - 1));
		d[min(len, n - 1)] = '\0';
	}
	return len;
}

struct cred *
cred_copy(const struct cred *c)
{
	struct cred *n = malloc(sizeof(*n));

	*n = *c;
	ref_init(&n->refs, 1);
	return n;
}

struct cred *cred_of_task(const struct task *t) { ref_get(&t->cred->refs); return t->cred; }
void cred_put(struct cred *c) { if (--c->refs.n == 0) free(c); }

struct task *task_find(int tid) { return tid == host_task.tid ? &host_task : NULL; }
void task_put(struct task *t) { (void)t; }
struct process *process_find(int pid) { return pid == host_process.pid ? &host_process : NULL; }
void process_put(struct process *p) { (void)p; }
struct mm *mm_of_task(struct task *t) { (void)t; return NULL; }
void mm_put(struct mm *m) { (void)m; }
ssize_t mm_access(struct mm *m, uaddr_t a, void *b, size_t n, bool w) { (void)m, (void)a, (void)b, (void)n, (void)w; return -EIO; }
struct vma *vma_first(struct mm *m) { (void)m; return NULL; }
struct vma *vma_next(struct mm *m, struct vma *v) { (void)m, (void)v; return NULL; }
void pgtable_walk(struct mm *m, uaddr_t s, uaddr_t e, void (*fn)(void *, uaddr_t, struct pte *), void *a) { (void)m, (void)s, (void)e, (void)fn, (void)a; }
uint64_t mm_commit_limit(void) { return 1000; }
uint64_t sched_idle_ns(unsigned c) { (void)c; return 0; }
uint64_t sched_stolen_ns(unsigned c) { (void)c; return 0; }
void sched_loadavg(uint64_t o[3]) { o[0] = o[1] = o[2] = 0; }
unsigned sched_running(void) { return 1; }
uint64_t sched_switches(void) { return 1; }
void usage_task(struct task *t, struct usage *u) { (void)t; memset(u, 0, sizeof(*u)); }
void usage_process(struct process *p, struct usage *u) { (void)p; memset(u, 0, sizeof(*u)); }
void usage_add(struct usage *a, const struct usage *b) { (void)a, (void)b; }
unsigned tasks_count(void) { return 1; }
unsigned tasks_max(void) { return 1000; }
struct new_utsname;
void uts_copy(struct new_utsname *u) { memset(u, 0, 390); }
void uts_set_nodename(const char *s) { (void)s; }
void random_bytes(void *p, size_t n) { memset(p, 0x5a, n); }
void random_add(const void *p, size_t n, unsigned b) { (void)p, (void)n, (void)b; }
uint64_t tty_dev(const struct tty *t) { (void)t; return 0; }
int tty_foreground_group(const struct tty *t) { (void)t; return 0; }
void tty_get(struct tty *t) { (void)t; }
void tty_put(struct tty *t) { (void)t; }

static uint64_t seed = 88172645463325252ULL;

void rnd_seed(uint64_t n) { seed ^= n * 0x9e3779b97f4a7c15ULL; }

uint64_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

void
host_fs_init(void)
{
	static char *ram;

	ram = aligned_alloc(2UL << 20, (uint64_t)RAM_PAGES * PAGE_SIZE);

	page_array = calloc(RAM_PAGES, sizeof(struct page));
	page_base = virt_to_ipa(ram) >> PAGE_SHIFT;
	for (unsigned i = host_chunk_pages; i < RAM_PAGES; i++) {
		page_array[i].private_ = (uint64_t)free_pages;
		free_pages = &page_array[i];
		free_count++;
	}
	host_process.pid = host_task.tid = 1;
	host_process.leader = &host_task;
	host_process.sighand = &host_sighand;
	list_init(&host_process.threads);
	list_init(&host_process.all);
	list_add(&process_list, &host_process.all);
	waitq_init(&host_sighand.signalfd);
	host_task.process = &host_process;
	host_task.cred = &host_cred;
	ref_init(&host_cred.refs, 1000000);
	host_cred.cap_effective = host_cred.cap_permitted = ~0ULL;
	for (unsigned i = 0; i < RLIMITS; i++)
		host_limits[i] = UINT64_MAX;
	host_limits[RLIMIT_NOFILE] = 1024;
	radix_init();
	fs_init();
}
