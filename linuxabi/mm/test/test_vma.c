/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap, mprotect, mremap, madvise, fork and plain accesses at random
 * against a model that knows for each page of a window whether it is mapped, how, and
 * its first word.  After each step the tree, the list and the counters must agree.
 */

enum { WINDOW = 96, ROUNDS_VMA = 60000 };
#define BASE	0x100000000UL

/* Page tables: of two spaces, over the window and what mremap may reach. */
struct host_table { struct mm *mm; struct pte e[WINDOW]; };
static struct host_table table[2];

static struct host_table *
table_of(struct mm *mm)
{
	return table[0].mm == mm ? &table[0] : &table[1];
}
static struct pte *
entry(struct mm *mm, uaddr_t a)
{
	CHECK(a >= BASE && a < BASE + WINDOW * PAGE_SIZE);
	return &table_of(mm)->e[(a - BASE) >> PAGE_SHIFT];
}
int
pgtable_create(struct mm *mm)
{
	struct host_table *t = table[0].mm == NULL ? &table[0] : &table[1];

	CHECK(t->mm == NULL);
	t->mm = mm;
	return 0;
}
void
pgtable_destroy(struct mm *mm)
{
	struct host_table *t = table_of(mm);

	/* Entries without a reference (the zero page) may go with the table. */
	for (unsigned i = 0; i < WINDOW; i++)
		CHECK(t->e[i].flags == 0 || (t->e[i].flags & PTE_SPECIAL));
	memset(t, 0, sizeof(*t));
}
struct pte pgtable_get(struct mm *mm, uaddr_t a) { return *entry(mm, a); }
int pgtable_set(struct mm *mm, uaddr_t a, struct pte p) { *entry(mm, a) = p; return 0; }
void
pgtable_walk(struct mm *mm, uaddr_t s, uaddr_t e, void (*fn)(void *, uaddr_t, struct pte *), void *arg)
{
	for (uaddr_t a = s; a < e; a += PAGE_SIZE)
		if (entry(mm, a)->flags != 0) {
			struct pte p = *entry(mm, a);

			fn(arg, a, &p);
			*entry(mm, a) = p;
		}
}
int
pgtable_fork(struct mm *c, struct mm *p, uaddr_t s, uaddr_t e, struct pgtable_counts *n)
{
	for (uaddr_t a = s; a < e; a += PAGE_SIZE) {
		struct pte *pe = entry(p, a);

		if (pe->flags == 0)
			continue;
		if (!(pe->flags & PTE_SPECIAL)) {
			page_get(ipa_to_page(pe->page));
			if (ipa_to_page(pe->page)->flags & PGF_ANON)
				n->anon++;
			else
				n->file++;
		}
		pe->flags &= ~(unsigned)(PTE_WRITE | PTE_DIRTY);
		*entry(c, a) = *pe;
	}
	return 0;
}
void
pgtable_zap(struct mm *mm, uaddr_t s, uaddr_t e, struct pgtable_counts *n)
{
	for (uaddr_t a = s; a < e; a += PAGE_SIZE) {
		struct pte old = *entry(mm, a);

		*entry(mm, a) = (struct pte){ 0, 0 };
		if (old.flags == 0 || (old.flags & PTE_SPECIAL))
			continue;
		if (ipa_to_page(old.page)->flags & PGF_ANON)
			n->anon++;
		else
			n->file++;
		page_put(ipa_to_page(old.page));
	}
}
void arch_tlb_flush_mm(struct mm *mm) { (void)mm; }
void arch_sync_icache(void *p, size_t n) { (void)p; (void)n; }
size_t vdso_size(void) { return PAGE_SIZE; }
long vdso_map(struct mm *mm, uaddr_t b) { (void)mm; (void)b; return 0; }
long vdso_fault(struct vma *v, uaddr_t a, struct pte *e) { (void)v; (void)a; (void)e; return -EIO; }
void vdso_init(void) { }
void file_get(struct file *f) { (void)f; }
void file_put(struct file *f) { (void)f; }
long inode_deny_write(struct inode *i) { (void)i; return 0; }
void inode_allow_write(struct inode *i) { (void)i; }
struct file *fd_get(int fd) { (void)fd; return NULL; }

/* The model. */
struct model {
	bool mapped, shared;
	unsigned prot;
	uint64_t word;			/* private: what is in it */
	unsigned object, index;		/* shared: where it is */
};
static struct model model[WINDOW], saved[WINDOW];
enum { OBJECTS = 4096 };
static uint64_t object[OBJECTS][WINDOW];
static unsigned objects;

static uint64_t *
model_word(struct model *m)
{
	return m->shared ? &object[m->object][m->index] : &m->word;
}

static void
check_tree(struct mm *mm, struct vma *v, uaddr_t lo, uaddr_t hi, unsigned *count)
{
	uint64_t gap;

	if (v == NULL)
		return;
	CHECK(v->start >= lo && v->end <= hi && v->start < v->end);
	check_tree(mm, node(v)->left, lo, v->start, count);
	check_tree(mm, node(v)->right, v->end, hi, count);
	gap = gap_before(mm, v);
	if (node(v)->left != NULL) {
		CHECK(node(node(v)->left)->priority <= node(v)->priority);
		gap = max(gap, node(node(v)->left)->gap);
	}
	if (node(v)->right != NULL) {
		CHECK(node(node(v)->right)->priority <= node(v)->priority);
		gap = max(gap, node(node(v)->right)->gap);
	}
	CHECK(node(v)->gap == gap);
	++*count;
}

static void
check_space(struct mm *mm, struct model *m)
{
	unsigned count = 0, listed = 0, pages = 0;
	uint64_t rss = 0;

	check_tree(mm, mm->vma_tree, 0, TASK_SIZE, &count);
	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v)) {
		struct vma *n = vma_next(mm, v);

		listed++;
		CHECK(n == NULL || v->end <= n->start);
		CHECK(n == NULL || !mergeable(v, n) || v->mapping != NULL);
		CHECK(v->mm == mm);
		for (uaddr_t a = v->start; a < v->end; a += PAGE_SIZE, pages++) {
			struct model *w = &m[(a - BASE) >> PAGE_SHIFT];

			CHECK(w->mapped && w->shared == !!(v->flags & VMA_SHARED));
			CHECK((v->flags & 7) == prot_flags(w->prot));
		}
	}
	for (unsigned i = 0; i < WINDOW; i++) {
		pages -= m[i].mapped;
		struct pte *e = &table_of(mm)->e[i];

		if (e->flags == 0)
			continue;
		CHECK(m[i].mapped);
		CHECK(!(e->flags & PTE_WRITE) || (m[i].prot & PROT_WRITE));
		CHECK(!(e->flags & PTE_NONE) == (m[i].prot != 0));
		if (!(e->flags & PTE_SPECIAL))
			rss++;
		if ((e->flags & PTE_WRITE) && !m[i].shared)
			CHECK(ref_read(&ipa_to_page(e->page)->refs) == 1);
	}
	CHECK(pages == 0 && count == listed && count == mm->vma_count);
	CHECK(rss == mm->rss_anon + mm->rss_file);
}

static unsigned at, len;

static void
pick(void)
{
	at = (unsigned)(rnd() % WINDOW);
	len = 1 + (unsigned)(rnd() % (rnd() % 4 ? 6 : 30));
	len = min(len, WINDOW - at);
}

static unsigned
pick_prot(void)
{
	static const unsigned p[] = { 0, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	    PROT_READ | PROT_EXEC };

	return p[rnd() % 5];
}

static void
do_mmap(void)
{
	unsigned prot = pick_prot();
	bool shared = objects < OBJECTS && rnd() % 5 == 0;
	long r = sys_mmap(BASE + at * PAGE_SIZE, len * PAGE_SIZE, prot,
	    MAP_FIXED | MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), (uint64_t)-1, 0);

	CHECK(r == (long)(BASE + at * PAGE_SIZE));
	for (unsigned i = 0; i < len; i++)
		model[at + i] = (struct model){ true, shared, prot, 0, objects, i };
	objects += shared;
}

static void
do_munmap(void)
{
	CHECK(sys_munmap(BASE + at * PAGE_SIZE, len * PAGE_SIZE) == 0);
	memset(model + at, 0, len * sizeof(model[0]));
}

static void
do_mprotect(void)
{
	unsigned prot = pick_prot(), i;
	long r = sys_mprotect(BASE + at * PAGE_SIZE, len * PAGE_SIZE, prot);

	for (i = 0; i < len && model[at + i].mapped; i++)
		model[at + i].prot = prot;
	CHECK(r == (i == len ? 0 : -ENOMEM));
}

static void
do_access(void)
{
	for (unsigned i = at; i < at + len; i++) {
		bool write = rnd() & 1;
		uaddr_t a = BASE + i * PAGE_SIZE;
		uint64_t w = rnd(), got = 0;
		long r = mm_fault(host_task.mm, a + 8, write ? VMA_WRITE : VMA_READ);

		CHECK(r == (!model[i].mapped ? -EFAULT
		    : !(model[i].prot & (write ? PROT_WRITE : 7)) ? -EACCES : 0));
		if (r != 0)
			continue;
		struct pte e = pgtable_get(host_task.mm, a);
		uint64_t *p = ipa_to_virt(e.page);

		CHECK(e.flags & PTE_READ);
		CHECK(*p == *model_word(&model[i]));
		if (write) {
			CHECK(e.flags & PTE_WRITE);
			*p = w;
			*model_word(&model[i]) = w;
		}
		CHECK(mm_access(host_task.mm, a, &got, 8, false) == 8);
		CHECK(got == *model_word(&model[i]));
	}
}

static bool
uniform(unsigned from, unsigned n)
{
	struct vma *v = vma_find(host_task.mm, BASE + from * PAGE_SIZE);

	return v != NULL && v->end >= BASE + (from + n) * PAGE_SIZE;
}

static void
do_mremap(void)
{
	unsigned to = (unsigned)(rnd() % WINDOW), n = 1 + (unsigned)(rnd() % 8);
	struct model moved[WINDOW];
	long r;

	if (to + n > WINDOW || (to < at + len && at < to + n))
		return;
	r = sys_mremap(BASE + at * PAGE_SIZE, len * PAGE_SIZE, n * PAGE_SIZE,
	    MREMAP_MAYMOVE | MREMAP_FIXED, BASE + to * PAGE_SIZE);
	/* What Linux does as well: destination and tail go first, whatever comes then. */
	bool ok = uniform(at, min(len, n)) || r >= 0;

	memcpy(moved, model + at, sizeof(moved[0]) * len);
	if (n < len) {
		memset(model + at + n, 0, sizeof(moved[0]) * (len - n));
	}
	memset(model + to, 0, sizeof(moved[0]) * n);
	CHECK(ok == (r >= 0));
	if (r < 0) {
		CHECK(r == -EFAULT);
		return;
	}
	memset(model + at, 0, sizeof(moved[0]) * min(len, n));
	for (unsigned i = 0; i < n; i++) {
		model[to + i] = i < len ? moved[i] : moved[len - 1];
		if (i < len)
			continue;
		model[to + i].word = 0;
		model[to + i].index = moved[0].index + i;
		if (model[to + i].shared && model[to + i].index >= WINDOW)
			abort();
	}
}

static void
do_dontneed(void)
{
	struct mm *mm = host_task.mm;

	zap_range(mm, BASE + at * PAGE_SIZE, BASE + (at + len) * PAGE_SIZE);
	for (unsigned i = at; i < at + len; i++)
		model[i].word = 0;
}

/* fork, change the parent, look at the child, let it go. */
static void
do_fork_round(void)
{
	struct mm *parent = host_task.mm, *child;

	memcpy(saved, model, sizeof(model));
	child = mm_fork(parent);
	CHECK(!IS_ERR(child));
	check_space(child, model);
	pick();
	do_access();
	check_space(parent, model);
	for (unsigned i = 0; i < WINDOW; i++) {
		uint64_t got = 0;

		if (!saved[i].mapped)
			continue;
		CHECK(mm_access(child, BASE + i * PAGE_SIZE, &got, 8, false) == 8);
		CHECK(got == (saved[i].shared ? *model_word(&saved[i]) : saved[i].word));
		if (rnd() % 4 == 0 && !saved[i].shared) {
			got = rnd();
			CHECK(mm_access(child, BASE + i * PAGE_SIZE, &got, 8, true) == 8);
		}
	}
	mm_put(child);
}

static int
test_vma(void)
{
	struct world_info w = { .ram_count = 1, .ram[0] = { HOST_IPA, HOST_RAM } };
	uint64_t before;

	host_init();
	page_init(&w);
	mm_init();
	if (getenv("SEED") != NULL)
		host_seed = strtoul(getenv("SEED"), NULL, 0) | 1;
	before = pages_free_count();
	host_task.mm = mm_create();
	host_task.mm->mmap_base = BASE + WINDOW * PAGE_SIZE;
	for (unsigned n = 0; n < ROUNDS_VMA; n++) {
		pick();
		switch (rnd() % 12) {
		case 0: case 1: case 2: do_mmap(); break;
		case 3: do_munmap(); break;
		case 4: case 5: do_mprotect(); break;
		case 6: do_mremap(); break;
		case 7: do_dontneed(); break;
		case 8: if (rnd() % 8 == 0) do_fork_round(); break;
		default: do_access(); break;
		}
		check_space(host_task.mm, model);
		CHECK(host_task.mm->lock.owner == NULL);
	}
	mm_put(host_task.mm);
	CHECK(pages_free_count() == before);
	CHECK(pages_anon() == 0);
	CHECK(pages_cached() == 0);
	printf("test_vma: ok, %u rounds, %u shared objects\n", ROUNDS_VMA, objects);
	return 0;
}
