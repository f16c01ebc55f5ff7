/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of Linux processes: areas (vmas), faults, page cache mappings.
 * Owner: linuxabi/mm.
 */
#ifndef LX_MM_H
#define LX_MM_H

#include "page.h"

struct file;
struct inode;
struct task;

#define TASK_SIZE	(1UL << 48)	/* user addresses are below it */
#define MMAP_MIN_ADDR	0x10000UL

/* Page cache of one inode: tmpfs, disks.  pages by index.
 * mapping->lock (rank 50) protects the tree; a page in it holds one reference. */
struct mapping_ops {
	/* The page at index, filled, with a reference for the caller; create: make
	 * holes.  NULL without create: a hole (reads as zeros).  ERR_PTR on error.  May block. */
	struct page *(*get_page)(struct mapping *, uint64_t index, bool create);
	/* A page is about to be changed through a shared writable mapping.  0, or -errno: it may
	 * not be (no room on the disk).  NULL: nothing to be done. */
	long (*dirty)(struct mapping *, struct page *);

	/* What follows is for disks; NULL elsewhere. */

	/* The page, found in the tree with a PS_CARE bit, is wanted.  May block.  0: its contents are
	 * there; -EAGAIN: look it up again; -EIO. */
	long (*ready)(struct mapping *, struct page *);
	/* write(2) is going to replace bytes [from, from + len) of the page at index: the page, with a
	 * reference, for the copy; then write_end with what was copied gives the reference back.
	 * write_end returns what counts as written, or -errno. */
	struct page *(*write_begin)(struct mapping *, uint64_t index, unsigned from, unsigned len);
	ssize_t (*write_end)(struct mapping *, struct page *, uint64_t index, unsigned from, unsigned copied);
	/* A page has left the tree; its reference from there is put next.  Does not block. */
	void (*gone)(struct mapping *, struct page *);
	/* Reclaim asks: may the page, clean and used by nobody, be forgotten?  mapping->lock held. */
	bool (*forget)(struct mapping *, struct page *);
	/* Reclaim met pages that it may not forget: have them written and committed soon.  Does not block. */
	void (*write_back)(struct mapping *);
};
struct mapping {
	struct inode *inode;
	const struct mapping_ops *ops;
	spinlock_t lock;
	void *tree;			/* radix tree, linuxabi/mm/radix.c */
	uint64_t page_count;
	struct list vmas;		/* areas that map it, for truncate; i_mmap lock is lock */
};
void mapping_init(struct mapping *, struct inode *, const struct mapping_ops *);
struct page *mapping_find(struct mapping *, uint64_t index);	/* with a reference, or NULL */
int mapping_insert(struct mapping *, uint64_t index, struct page *);	/* takes a reference; -EEXIST, -ENOMEM */
/* Drop pages [first, last] (UINT64_MAX: to the end), unmapping them from every process; zero nothing. */
void mapping_truncate(struct mapping *, uint64_t first, uint64_t last);
bool mapping_remove(struct mapping *, struct page *);	/* this page, if it is in the tree */
/* Take the page out if it is clean, ready and nobody but the tree refers to it. */
bool mapping_forget(struct mapping *, struct page *);
/* No area can write pages [first, last] without a fault from now on. */
void mapping_protect(struct mapping *, uint64_t first, uint64_t last);
/* Unmap one page from every area that can be locked without waiting. */
void mapping_unmap_try(struct mapping *, uint64_t index);
/* The first page at or after *index, with a reference and *index set; NULL: none. */
struct page *mapping_next(struct mapping *, uint64_t *index);

enum {
	VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4, VMA_SHARED = 8,
	VMA_GROWSDOWN = 16, VMA_NORESERVE = 32, VMA_DONTFORK = 64, VMA_WIPEONFORK = 128,
	VMA_LOCKED = 256, VMA_STACK = 512, VMA_SPECIAL = 1024 /* vDSO: never merged, moved or unmapped in part */,
	VMA_MAYWRITE = 2048 /* shared file opened for writing */, VMA_DONTDUMP = 4096,
	VMA_HAS_ANON = 8192 /* private file area with pages of its own */,
};
struct vma {
	uaddr_t start, end;		/* page aligned, [start, end) */
	struct list in_mm;		/* mm->vma_list, sorted */
	uint32_t flags;
	struct file *file;		/* referenced; NULL: anonymous */
	uint64_t pgoff;			/* of start in the file, in pages */
	struct list in_mapping;		/* mapping->vmas */
	struct mm *mm;
	struct mapping *mapping;	/* page cache behind it: the file's, or of shared anonymous memory */
	const char *name;		/* "[heap]", "[stack]", "[vdso]" or NULL */
	uint64_t tree[4];		/* private to mm/: balanced tree links */
};

struct mm {
	refcount_t users;		/* tasks; the last one unmaps everything */
	refcount_t refs;		/* users count as one, plus lookers (procfs, lazily active CPUs) */
	struct mutex lock;		/* rank 30: areas and page tables */
	uint64_t *pgd;			/* level-0 table */
	struct page *tables;		/* all tables, chained by private_ */
	uint64_t asid_generation;	/* arch's */
	uint64_t active_cpus;		/* bit mask */
	void *vma_tree;
	struct list vma_list;
	struct vma *vma_last;		/* found last */
	struct vma *vma_dead;		/* their files are put when mm->lock is released */
	unsigned default_flags;		/* mlockall(MCL_FUTURE): VMA_LOCKED */
	bool dumpable, no_randomize;
	uint32_t membarrier;		/* registered commands */
	unsigned vma_count;
	uaddr_t mmap_base;		/* mmap goes down from here */
	uaddr_t brk_start, brk;
	uaddr_t stack_start;		/* of the initial stack: its top */
	uaddr_t arg_start, arg_end, env_start, env_end;
	uaddr_t vdso;
	uint64_t auxv[48];		/* as given to the program, for /proc/self/auxv */
	struct file *exe;
	uint64_t rss_anon, rss_file, total_pages, locked_pages, table_pages;
	uint64_t hiwater_rss;
};

struct mm *mm_create(void);			/* empty, with the vDSO's kernel parts */
struct mm *mm_fork(struct mm *);		/* copy on write; ERR_PTR(-ENOMEM) */
void mm_ref(struct mm *);			/* refs: a looker */
void mm_unref(struct mm *);
struct mm *mm_of_task(struct task *);		/* with a user reference, or NULL (procfs, process_vm_*) */
/* For exec: a space that nobody runs in yet. */
long mm_make_stack(struct mm *, uaddr_t top, size_t size, bool executable);
long mm_make_vdso(struct mm *);			/* sets mm->vdso */
struct page *mm_zero_page(void);		/* the one that reads of untouched memory see */
uint64_t mm_stack_limit(void);			/* current's RLIMIT_STACK */
struct page *mm_user_page(void);		/* cleared, counted as a program's own */
long mm_install(struct mm *, uaddr_t, struct page *);	/* takes the page, also on failure */
/* For file_ops.mmap of /dev/zero: the area becomes anonymous memory. */
long vma_make_anonymous(struct vma *);
void mm_init(void);				/* caches, vDSO; after page_init and kcache work */
void mm_get(struct mm *);			/* users */
void mm_put(struct mm *);
void mm_activate(struct mm *);			/* on this CPU (arch): TTBR0 and ASID; called by the switch */

/* mmap for kernel callers (exec) and the system call; mm->lock must not be held.
 * Flags and prot are Linux's (<asm/mman.h>).  Returns the address or -errno. */
long mm_map(struct mm *, uaddr_t hint, size_t len, unsigned prot, unsigned flags, struct file *, uint64_t offset);
long mm_unmap(struct mm *, uaddr_t start, size_t len);
struct vma *vma_find(struct mm *, uaddr_t);	/* area that contains the address, or NULL; mm->lock held */
struct vma *vma_first(struct mm *);
struct vma *vma_next(struct mm *, struct vma *);

/*
 * A fault of user code or of a user access by the kernel.  access: VMA_READ,
 * VMA_WRITE or VMA_EXEC.  0: resolved (retry); -EFAULT: SEGV_MAPERR;
 * -EACCES: SEGV_ACCERR; -EIO: SIGBUS; -ENOMEM: the task is to be killed.
 */
long mm_fault(struct mm *, uaddr_t addr, unsigned access);

/* Read or write another process's memory (ptrace, /proc/pid/mem, cmdline):
 * bytes moved or -errno. */
ssize_t mm_access(struct mm *, uaddr_t, void *kernel_buf, size_t, bool write);

/* The page behind a user address and its identity, for futexes: shared
 * mappings give (mapping, index), private ones (mm, page address). */
struct futex_key {
	uint64_t object;
	uint64_t offset;
};
long mm_futex_key(struct mm *, uaddr_t, bool shared, struct futex_key *);

/* Address of __kernel_rt_sigreturn in the vDSO of this space. */
uaddr_t mm_vdso_sigreturn(const struct mm *);

uint64_t mm_maxrss_kib(const struct mm *);
uint64_t mm_commit_limit(void);	/* pages */
void oom_kill(void);		/* pick the culprit and kill it; logs */

#endif
