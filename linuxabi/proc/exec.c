/* SPDX-License-Identifier: MIT */
/*
 * execve and execveat.
 *
 * The whole new address space, with its stack and arguments, is built beside the old
 * one; until it is complete every error leaves the caller as it was.  Then the
 * other threads end, and nothing can fail any more: descriptors close, signals
 * are reset, the spaces are exchanged.
 */
#include <asm/hwcap.h>
#include <asm/mman.h>
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include "elf.h"
#include "internal.h"
#include "syscall.h"

enum {
	HEAD_BYTES = 1024,		/* read of a file at once: usually all its program headers */
	SCRIPT_BYTES = 256, SCRIPT_DEPTH = 4, PREFIX_MAX = 3 + 2 * SCRIPT_DEPTH,
	ARG_STRING_MAX = 32 * PAGE_SIZE, ARG_PAGES_MAX = 6 * 256 /* 6 MiB */,
	STACK_INITIAL = 132 << 10, STACK_RANDOM_PAGES = 1 << 22, MMAP_RANDOM_BITS = 24,
	MNT_NOSUID_ = 2, MNT_NOEXEC_ = 8, MINSIGSTKSZ_ARM64 = 4720, STACK_SLACK = 8 << 10,
};
#define ET_DYN_BASE	(TASK_SIZE / 3 * 2 & PAGE_MASK)

/* Everything about one exec, on the heap. */
struct exec {
	char filename[PATH_MAX_];	/* as AT_EXECFN has it */
	struct file *file;		/* what is loaded */
	struct inode *denied;		/* writing to it is denied */
	uint8_t head[HEAD_BYTES];
	size_t head_size;
	/* Arguments that scripts put in front, instead of argv[0]. */
	char *prefix[PREFIX_MAX];
	unsigned prefix_count, depth;
	/* Strings, in the order argv, envp, filename; they become the top of the stack. */
	struct page **page;
	unsigned page_count, page_limit;
	uint64_t used;
	uint64_t argc, envc;
	uint64_t env_at, name_at;	/* offsets of the first environment string, of the name */
	struct mm *mm;
	struct cred *cred;
	bool secure, randomize;
	uaddr_t load_bias, entry, interp_base, phdr, start;
	unsigned phdr_count;
	struct elf_image image;
	uaddr_t sp;
};

/* --- opening --- */

static long
check_executable(const struct path *p)
{
	struct inode *i = p->dentry->inode;

	if (i == NULL)
		return -ENOENT;
	if ((i->mode & S_IFMT) != S_IFREG || (p->mnt->flags & MNT_NOEXEC_))
		return -EACCES;
	return inode_permission(i, MAY_EXEC);
}

/* Opens for execution; takes over the path. */
static struct file *
open_executable(struct path *p)
{
	long r = check_executable(p);
	struct file *f;

	if (r == 0)
		r = inode_deny_write(p->dentry->inode);
	if (r != 0) {
		path_put(p);
		return ERR_PTR(r);
	}
	f = file_open_path(p, O_RDONLY);
	if (IS_ERR(f))
		inode_allow_write(p->dentry->inode);
	path_put(p);
	return f;
}

static struct file *
open_kernel(const char *name)
{
	struct path p;
	long r = path_walk(AT_FDCWD, name, WALK_FOLLOW, &p);

	return r != 0 ? ERR_PTR(r) : open_executable(&p);
}

static void
close_executable(struct file *f)
{
	inode_allow_write(f->inode);
	file_put(f);
}

/* execveat(fd, "", AT_EMPTY_PATH): the file itself, known as /dev/fd/N. */
static struct file *
open_fd(struct exec *x, int fd)
{
	struct file *f = fd_get(fd);
	struct path p;

	if (f == NULL)
		return ERR_PTR(-EBADF);
	if (f->path.dentry == NULL) {
		file_put(f);
		return ERR_PTR(-EACCES);
	}
	ksnprintf(x->filename, sizeof(x->filename), "/dev/fd/%d", fd);
	p = f->path;
	path_get(&p);
	file_put(f);
	return open_executable(&p);
}

static long
open_first(struct exec *x, int dirfd, uaddr_t name, unsigned flags)
{
	struct path p;
	long r = strncpy_from_user(x->filename, name, sizeof(x->filename));

	if (r < 0)
		return r;
	if (r == 0 && (flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD) {
		x->file = open_fd(x, dirfd);
	} else {
		r = path_walk(dirfd, x->filename, (flags & AT_SYMLINK_NOFOLLOW) ? 0 : WALK_FOLLOW, &p);
		if (r != 0)
			return r;
		if (p.dentry->inode != NULL && (p.dentry->inode->mode & S_IFMT) == S_IFLNK) {
			path_put(&p);
			return -ELOOP;
		}
		x->file = open_executable(&p);
		if (dirfd != AT_FDCWD && x->filename[0] != '/' && !IS_ERR(x->file)) {
			char *copy = kstrdup(x->filename);

			if (copy != NULL)
				ksnprintf(x->filename, sizeof(x->filename), "/dev/fd/%d/%s", dirfd, copy);
			kfree(copy);
		}
	}
	if (IS_ERR(x->file)) {
		r = PTR_ERR(x->file);
		x->file = NULL;
		return r;
	}
	return 0;
}

/* --- scripts --- */

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "#! interpreter [argument]" (execve(2), "Interpreter scripts"). */
static long
script_parse(struct exec *x, char line[SCRIPT_BYTES + 1], char **interp, char **arg)
{
	size_t n = min(x->head_size, (size_t)SCRIPT_BYTES);
	char *end, *s;

	memcpy(line, x->head, n);
	line[n] = 0;
	end = memchr(line, '\n', n);
	if (end == NULL) {
		/* Cut off: fine if the interpreter's name is complete. */
		for (s = line + 2; blank(*s); s++)
			;
		while (*s != 0 && !blank(*s))
			s++;
		if (*s == 0 && n == SCRIPT_BYTES)
			return -ENOEXEC;
		end = line + n;
	}
	*end = 0;
	while (end > line + 2 && blank(end[-1]))
		*--end = 0;
	for (s = line + 2; blank(*s); s++)
		;
	if (*s == 0)
		return -ENOEXEC;
	*interp = s;
	while (*s != 0 && !blank(*s))
		s++;
	if (*s != 0)
		*s++ = 0;
	while (blank(*s))
		s++;
	*arg = *s != 0 ? s : NULL;
	return 0;
}

/* The script's name replaces argv[0]; interpreter and argument come before it. */
static long
script_prefix(struct exec *x, const char *interp, const char *arg)
{
	char *add[3];
	unsigned n = 0, drop = x->prefix_count != 0 ? 1 : 0;

	add[n++] = kstrdup(interp);
	if (arg != NULL)
		add[n++] = kstrdup(arg);
	add[n++] = drop ? x->prefix[0] : kstrdup(x->filename);
	for (unsigned i = 0; i < n; i++) {
		if (add[i] != NULL)
			continue;
		for (unsigned j = 0; j < n - drop; j++)
			kfree(add[j]);
		return -ENOMEM;
	}
	if (x->prefix_count - drop + n > PREFIX_MAX) {
		for (unsigned j = 0; j < n - drop; j++)
			kfree(add[j]);
		return -ELOOP;
	}
	memmove(x->prefix + n, x->prefix + drop, (x->prefix_count - drop) * sizeof(x->prefix[0]));
	memcpy(x->prefix, add, n * sizeof(add[0]));
	x->prefix_count += n - drop;
	return 0;
}

/* Follow "#!" until a file that is none. */
static long
resolve_scripts(struct exec *x)
{
	for (;;) {
		char line[SCRIPT_BYTES + 1], *interp, *arg;
		ssize_t got = file_pread(x->file, x->head, sizeof(x->head), 0);
		long r;

		if (got < 0)
			return got;
		x->head_size = (size_t)got;
		if (got < 2 || x->head[0] != '#' || x->head[1] != '!')
			return 0;
		if (x->depth++ >= SCRIPT_DEPTH)
			return -ELOOP;
		r = script_parse(x, line, &interp, &arg);
		if (r == 0)
			r = script_prefix(x, interp, arg);
		if (r != 0)
			return r;
		close_executable(x->file);
		x->file = open_kernel(interp);
		if (IS_ERR(x->file)) {
			r = PTR_ERR(x->file);
			x->file = NULL;
			return r;
		}
	}
}

/* --- arguments --- */

static long
room_for_strings(struct exec *x)
{
	struct page *p;

	if (x->used < (uint64_t)x->page_count << PAGE_SHIFT)
		return 0;
	if (x->page_count >= x->page_limit)
		return -E2BIG;
	if (x->page == NULL || (x->page_count & (x->page_count - 1)) == 0) {
		struct page **more = krealloc(x->page, max(x->page_count * 2, 4u) * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		x->page = more;
	}
	p = mm_user_page();
	if (p == NULL)
		return -ENOMEM;
	x->page[x->page_count++] = p;
	return 0;
}

static char *
string_place(struct exec *x, size_t *room)
{
	size_t in = x->used & (PAGE_SIZE - 1);

	*room = PAGE_SIZE - in;
	return (char *)page_virt(x->page[x->used >> PAGE_SHIFT]) + in;
}

static long
add_kernel_string(struct exec *x, const char *s)
{
	size_t left = strlen(s) + 1;

	while (left > 0) {
		long r = room_for_strings(x);
		size_t room, n;
		char *to;

		if (r != 0)
			return r;
		to = string_place(x, &room);
		n = min(room, left);
		memcpy(to, s, n);
		s += n;
		left -= n;
		x->used += n;
	}
	return 0;
}

static long
add_user_string(struct exec *x, uaddr_t s)
{
	uint64_t begin = x->used;

	for (;;) {
		long r = room_for_strings(x);
		size_t room;
		char *to;

		if (r != 0)
			return r;
		to = string_place(x, &room);
		r = strncpy_from_user(to, s, room);
		if (r >= 0) {
			x->used += (uint64_t)r + 1;
			return x->used - begin > ARG_STRING_MAX ? -E2BIG : 0;
		}
		if (r != -ENAMETOOLONG)
			return r;
		x->used += room;
		s += room;
		if (x->used - begin >= ARG_STRING_MAX)
			return -E2BIG;
	}
}

/* The strings of a NULL-terminated vector from entry `first` on. */
static long
add_vector(struct exec *x, uaddr_t vector, uint64_t first, uint64_t *count)
{
	if (vector == 0)
		return 0;
	for (uint64_t i = 0;; i++) {
		uint64_t s;
		long r = get_user_u64(&s, vector + i * 8);

		if (r != 0 || s == 0)
			return r;
		if (i >= (uint64_t)x->page_limit << (PAGE_SHIFT - 3))
			return -E2BIG;
		if (i < first)
			continue;
		r = add_user_string(x, s);
		if (r != 0)
			return r;
		++*count;
		if ((i & 255) == 255 && signal_fatal_pending(current))
			return -EINTR;
	}
}

static long
copy_arguments(struct exec *x, uaddr_t argv, uaddr_t envp)
{
	uint64_t limit = max(min(mm_stack_limit() / 4, (uint64_t)ARG_PAGES_MAX << PAGE_SHIFT),
	    (uint64_t)32 << PAGE_SHIFT);
	long r = 0;

	x->page_limit = (unsigned)(limit >> PAGE_SHIFT);
	for (unsigned i = 0; i < x->prefix_count && r == 0; i++, x->argc++)
		r = add_kernel_string(x, x->prefix[i]);
	if (r == 0)
		r = add_vector(x, argv, x->prefix_count != 0, &x->argc);
	if (r == 0 && x->argc == 0) {	/* no program expects to have no name at all */
		r = add_kernel_string(x, "");
		x->argc = 1;
	}
	x->env_at = x->used;
	if (r == 0)
		r = add_vector(x, envp, 0, &x->envc);
	x->name_at = x->used;
	if (r == 0)
		r = add_kernel_string(x, x->filename);
	/* The pointers count as well. */
	if (r == 0 && x->used + (x->argc + x->envc) * 8 > limit)
		r = -E2BIG;
	return r;
}

/* --- layout --- */

static uint64_t
random_below(struct exec *x, uint64_t n)
{
	uint64_t r;

	if (!x->randomize)
		return 0;
	random_bytes(&r, sizeof(r));
	return r % n;
}

/* The stack at the top, the mmap area below what the stack may grow to. */
static void
layout(struct exec *x, uaddr_t *stack_top)
{
	uint64_t gap = mm_stack_limit(), pad = (256 + STACK_RANDOM_PAGES) * (uint64_t)PAGE_SIZE;

	gap = gap > UINT64_MAX - pad ? gap : gap + pad;
	gap = max(min(gap, TASK_SIZE / 6 * 5), (uint64_t)128 << 20);
	*stack_top = TASK_SIZE - PAGE_SIZE - (random_below(x, STACK_RANDOM_PAGES) << PAGE_SHIFT);
	x->mm->mmap_base = PAGE_DOWN(TASK_SIZE - gap - (random_below(x, 1UL << MMAP_RANDOM_BITS) << PAGE_SHIFT));
	x->mm->no_randomize = !x->randomize;
}

/* --- loading --- */

static unsigned
segment_prot(const struct elf_segment *s)
{
	return (s->read ? PROT_READ : 0u) | (s->write ? PROT_WRITE : 0u) | (s->exec ? PROT_EXEC : 0u);
}

/* What of the last file page lies behind the file's part must read as zero. */
static long
clear_tail(struct mm *mm, uaddr_t from)
{
	size_t n = PAGE_UP(from) - from;
	ssize_t r;

	if (n == 0)
		return 0;
	r = mm_access(mm, from, page_virt(mm_zero_page()), n, true);
	return r == (ssize_t)n ? 0 : -EFAULT;
}

static long
map_segment(struct mm *mm, struct file *f, const struct elf_segment *s, uaddr_t bias)
{
	uaddr_t start = PAGE_DOWN(s->vaddr + bias);
	uaddr_t file_end = s->vaddr + bias + s->file_size;
	uaddr_t end = PAGE_UP(s->vaddr + bias + s->mem_size), anon = start;
	unsigned prot = segment_prot(s);
	long r;

	if (s->file_size != 0) {
		r = mm_map(mm, start, file_end - start, prot, MAP_PRIVATE | MAP_FIXED, f,
		    PAGE_DOWN(s->offset));
		if (r < 0)
			return r;
		anon = PAGE_UP(file_end);
	}
	if (anon < end) {
		r = mm_map(mm, anon, end - anon, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
		if (r < 0)
			return r;
	}
	if (s->file_size != 0 && s->mem_size > s->file_size && s->write)
		return clear_tail(mm, file_end);
	return 0;
}

/* Place an ET_DYN image: reserve all of it, so that its segments lie together. */
static long
reserve_image(struct mm *mm, const struct elf_image *e, uaddr_t hint, uaddr_t *bias)
{
	size_t size = e->high - e->low;
	uaddr_t base;
	long at;

	at = mm_map(mm, hint, size + e->align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, NULL, 0);
	if (at < 0)
		return at;
	base = ((uaddr_t)at + e->align - 1) & ~(e->align - 1);
	base += e->low & (e->align - 1);
	if (base + size > (uaddr_t)at + size + e->align)
		base = (uaddr_t)at;
	if (mm_unmap(mm, (uaddr_t)at, size + e->align) != 0)
		return -ENOMEM;
	*bias = base - e->low;
	return 0;
}

static long
load_image(struct mm *mm, struct file *f, const struct elf_header *h, const struct elf_image *e,
    uaddr_t hint, uaddr_t *bias)
{
	long r = 0;

	*bias = 0;
	if (h->dynamic)
		r = reserve_image(mm, e, hint, bias);
	for (unsigned i = 0; i < e->segment_count && r == 0; i++)
		r = map_segment(mm, f, &e->segment[i], *bias);
	return r;
}

/* Headers of a file whose first bytes are in `head`. */
static long
read_elf(struct file *f, const uint8_t *head, size_t size, struct elf_header *h, struct elf_image *e)
{
	uint8_t *phdrs;
	size_t bytes;
	ssize_t got;
	long r = elf_parse_header(head, size, h);

	if (r != 0)
		return r;
	bytes = (size_t)h->phdr_count * ELF_PHDR_SIZE;
	if (h->phdr_offset <= size && bytes <= size - h->phdr_offset)
		return elf_parse_segments(h, head + h->phdr_offset, e);
	phdrs = kmalloc(bytes);
	if (phdrs == NULL)
		return -ENOMEM;
	got = file_pread(f, phdrs, bytes, (loff_t)h->phdr_offset);
	r = got == (ssize_t)bytes ? elf_parse_segments(h, phdrs, e) : got < 0 ? got : -ENOEXEC;
	kfree(phdrs);
	return r;
}

struct interp {
	char name[PATH_MAX_];
	uint8_t head[HEAD_BYTES];
	struct elf_image image;
};

static long
load_interp_from(struct exec *x, struct interp *i, struct file *f)
{
	struct elf_header h;
	ssize_t got = file_pread(f, i->head, sizeof(i->head), 0);
	uaddr_t bias;
	long r;

	if (got < 0)
		return got;
	r = read_elf(f, i->head, (size_t)got, &h, &i->image);
	if (r != 0)
		return r == -ENOEXEC ? -ELIBBAD : r;
	r = load_image(x->mm, f, &h, &i->image, 0, &bias);
	if (r != 0)
		return r;
	x->interp_base = h.dynamic ? bias + i->image.low : bias;
	x->start = h.entry + bias;
	return 0;
}

static long
load_interp(struct exec *x)
{
	struct interp *i = kmalloc(sizeof(*i));
	struct file *f;
	ssize_t got;
	long r;

	if (i == NULL)
		return -ENOMEM;
	got = file_pread(x->file, i->name, x->image.interp_size, (loff_t)x->image.interp_offset);
	if (got != (ssize_t)x->image.interp_size || i->name[got - 1] != 0) {
		kfree(i);
		return got < 0 ? got : -ENOEXEC;
	}
	f = open_kernel(i->name);
	if (IS_ERR(f)) {
		kfree(i);
		return PTR_ERR(f);
	}
	r = load_interp_from(x, i, f);
	close_executable(f);
	kfree(i);
	return r;
}

static void
place_brk(struct exec *x, const struct elf_header *h)
{
	uaddr_t brk = x->image.high + x->load_bias;

	if (h->dynamic && x->image.interp_size == 0)
		brk = ET_DYN_BASE;	/* a static PIE lies in the mmap area: no room to grow there */
	x->mm->brk_start = x->mm->brk = PAGE_UP(brk) + (random_below(x, 8192) << PAGE_SHIFT);
}

static long
load_program(struct exec *x)
{
	struct elf_header h;
	uaddr_t hint = 0;
	long r = read_elf(x->file, x->head, x->head_size, &h, &x->image);

	if (r != 0)
		return r;
	if (h.dynamic && x->image.interp_size != 0)
		hint = ET_DYN_BASE + (random_below(x, 1UL << MMAP_RANDOM_BITS) << PAGE_SHIFT);
	r = load_image(x->mm, x->file, &h, &x->image, hint, &x->load_bias);
	if (r != 0)
		return r;
	x->entry = x->start = h.entry + x->load_bias;
	x->phdr = x->image.phdr_vaddr != 0 ? x->image.phdr_vaddr + x->load_bias : 0;
	x->phdr_count = h.phdr_count;
	place_brk(x, &h);
	if (x->image.interp_size != 0)
		r = load_interp(x);
	return r;
}

/* --- the initial stack --- */

/* Strings on top, then platform and random bytes, then auxv, envp, argv, argc at sp. */
struct frame {
	uint64_t *words;		/* built in the kernel */
	uint64_t count;
};

static void
push(struct frame *f, uint64_t v)
{
	f->words[f->count++] = v;
}

static void
push_aux(struct exec *x, struct frame *f, uint64_t type, uint64_t value)
{
	uint64_t *aux = x->mm->auxv;

	push(f, type);
	push(f, value);
	while (*aux != AT_NULL)
		aux += 2;
	if (aux + 2 < x->mm->auxv + ARRAY_LEN(x->mm->auxv)) {
		aux[0] = type;
		aux[1] = value;
	}
}

static void
push_auxv(struct exec *x, struct frame *f, uaddr_t random, uaddr_t platform, uaddr_t name)
{
	const struct cred *c = x->cred;

	push_aux(x, f, AT_SYSINFO_EHDR, x->mm->vdso);
	push_aux(x, f, AT_MINSIGSTKSZ, MINSIGSTKSZ_ARM64);
	push_aux(x, f, AT_HWCAP, arch_hwcap());
	push_aux(x, f, AT_PAGESZ, PAGE_SIZE);
	push_aux(x, f, AT_CLKTCK, 100);
	push_aux(x, f, AT_PHDR, x->phdr);
	push_aux(x, f, AT_PHENT, ELF_PHDR_SIZE);
	push_aux(x, f, AT_PHNUM, x->phdr_count);
	push_aux(x, f, AT_BASE, x->interp_base);
	push_aux(x, f, AT_FLAGS, 0);
	push_aux(x, f, AT_ENTRY, x->entry);
	push_aux(x, f, AT_UID, c->uid);
	push_aux(x, f, AT_EUID, c->euid);
	push_aux(x, f, AT_GID, c->gid);
	push_aux(x, f, AT_EGID, c->egid);
	push_aux(x, f, AT_SECURE, x->secure);
	push_aux(x, f, AT_RANDOM, random);
	push_aux(x, f, AT_HWCAP2, arch_hwcap2());
	push_aux(x, f, AT_EXECFN, name);
	push_aux(x, f, AT_PLATFORM, platform);
	push(f, AT_NULL);
	push(f, 0);
}

/* Push the address of each of `count` strings that begin at offset `at`. */
static uint64_t
push_strings(struct exec *x, struct frame *f, uaddr_t base, uint64_t at, uint64_t count)
{
	while (count-- > 0) {
		push(f, base + at);
		for (;;) {
			size_t in = at & (PAGE_SIZE - 1), room = PAGE_SIZE - in;
			const char *s = (const char *)page_virt(x->page[at >> PAGE_SHIFT]) + in;
			size_t n = strnlen(s, room);

			at += n + (n < room);
			if (n < room)
				break;
		}
	}
	push(f, 0);
	return at;
}

/* Bytes into pages of the new stack that are not there yet. */
static long
write_stack(struct mm *mm, uaddr_t to, const void *from, size_t n)
{
	return mm_access(mm, to, (void *)(uintptr_t)from, n, true) == (ssize_t)n ? 0 : -EFAULT;
}

static long
install_strings(struct exec *x, uaddr_t base)
{
	for (unsigned i = 0; i < x->page_count; i++) {
		struct page *p = x->page[i];
		long r;

		x->page[i] = NULL;
		r = mm_install(x->mm, base + ((uaddr_t)i << PAGE_SHIFT), p);
		if (r != 0)
			return r;
	}
	return 0;
}

static long
build_stack(struct exec *x, uaddr_t top)
{
	static const char platform[8] = "aarch64";
	uint64_t words = 1 + x->argc + 1 + x->envc + 1 + 2 * 21;
	uaddr_t base = top - ((uaddr_t)x->page_count << PAGE_SHIFT), info;
	size_t need = ((uint64_t)x->page_count << PAGE_SHIFT) + words * 8 + STACK_SLACK;
	struct frame f = { .words = kmalloc(words * 8) };
	uint8_t extra[32];
	long r;

	if (f.words == NULL)
		return -ENOMEM;
	r = mm_make_stack(x->mm, top, max(PAGE_UP(need), (uint64_t)STACK_INITIAL), x->image.stack_exec);
	if (r == 0)
		r = mm_make_vdso(x->mm);
	if (r != 0)
		goto out;
	info = base - sizeof(extra) - random_below(x, 64) * 16;
	random_bytes(extra, 16);
	memcpy(extra + 16, platform, sizeof(platform));
	memset(extra + 24, 0, 8);

	push(&f, x->argc);
	push_strings(x, &f, base, 0, x->argc);
	push_strings(x, &f, base, x->env_at, x->envc);
	push_auxv(x, &f, info, info + 16, base + x->name_at);
	x->sp = (info - words * 8) & ~15UL;
	x->mm->arg_start = base;
	x->mm->arg_end = x->mm->env_start = base + x->env_at;
	x->mm->env_end = base + x->name_at;
	r = install_strings(x, base);
	if (r == 0)
		r = write_stack(x->mm, info, extra, sizeof(extra));
	if (r == 0)
		r = write_stack(x->mm, x->sp, f.words, f.count * 8);
out:
	kfree(f.words);
	return r;
}

/* --- from here on nothing fails --- */

static void
set_comm(struct task *t, const char *path)
{
	const char *slash = strrchr(path, '/');

	strlcpy(t->comm, slash != NULL ? slash + 1 : path, sizeof(t->comm));
}

static void
exchange_mm(struct task *t, struct mm *mm)
{
	struct mm *old = t->mm;
	uint64_t irq;

	if (old != NULL)
		t->usage.maxrss_kib = max(t->usage.maxrss_kib, mm_maxrss_kib(old));
	irq = spin_lock_irqsave(&tasklist_lock);
	t->mm = t->mm_active = mm;
	mm_activate(mm);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	if (old != NULL)
		mm_put(old);
}

static void
reset_signals(struct process *p, struct task *t, struct sighand *fresh)
{
	struct sighand *old = p->sighand;
	uint64_t irq;

	if (fresh != NULL) {
		irq = spin_lock_irqsave(&tasklist_lock);
		spin_lock(&old->lock);
		__atomic_store_n(&p->sighand, fresh, __ATOMIC_RELEASE);
		spin_unlock(&old->lock);
		spin_unlock_irqrestore(&tasklist_lock, irq);
		sighand_put(old);
	}
	sighand_exec(p->sighand);
	t->sigalt_sp = t->sigalt_size = 0;
	t->sigalt_flags = 2;		/* SS_DISABLE */
	t->restart_fn = NULL;
}

static void
reset_registers(struct exec *x, struct task *t)
{
	memset(t->regs, 0, sizeof(*t->regs));
	t->regs->pc = x->start;
	t->regs->sp = x->sp;
	t->regs->syscall = -1;
	arch_tls_set(0);
	arch_fp_clear(t);
}

static void
commit(struct exec *x, struct sighand *fresh, struct files *files)
{
	struct task *t = current;
	struct process *p = t->process;
	struct files *old_files = files != NULL ? t->files : NULL;

	x->mm->exe = x->file;		/* and with it the denial of writes, until mm_put */
	x->file = NULL;
	task_release_mm(t);
	exchange_mm(t, x->mm);
	x->mm = NULL;
	if (files != NULL) {
		t->files = files;
		files_put(old_files);
	}
	files_exec(t->files);
	reset_signals(p, t, fresh);
	process_timers_exec(p);
	set_comm(t, x->filename);
	t->set_child_tid = t->clear_child_tid = 0;
	if (x->cred->euid != t->cred->euid || x->cred->egid != t->cred->egid)
		t->pdeath_signal = 0;
	t->mm->dumpable = x->cred->euid == x->cred->uid && x->cred->egid == x->cred->gid;
	p->dumpable = t->mm->dumpable;
	p->did_exec = true;
	p->exit_signal = SIGCHLD;
	if (x->secure)
		t->personality &= ~(uint32_t)ADDR_NO_RANDOMIZE;
	cred_install(x->cred);
	x->cred = NULL;
	reset_registers(x, t);
}

/* --- the call --- */

static void
exec_free(struct exec *x)
{
	for (unsigned i = 0; i < x->page_count; i++)
		if (x->page[i] != NULL)
			page_put(x->page[i]);
	kfree(x->page);
	for (unsigned i = 0; i < x->prefix_count; i++)
		kfree(x->prefix[i]);
	if (x->mm != NULL)
		mm_put(x->mm);
	if (x->cred != NULL)
		cred_put(x->cred);
	if (x->file != NULL)
		close_executable(x->file);
	kfree(x);
}

static long
build(struct exec *x)
{
	uaddr_t top;
	long r;

	x->cred = cred_prepare();
	x->mm = mm_create();
	if (x->cred == NULL || x->mm == NULL)
		return -ENOMEM;
	cred_exec(x->cred, x->file, &x->secure);
	x->randomize = !(current->personality & ADDR_NO_RANDOMIZE) || x->secure;
	layout(x, &top);
	r = load_program(x);
	return r == 0 ? build_stack(x, top) : r;
}

/* Opened and with its arguments copied. */
static long
exec_run(struct exec *x)
{
	struct process *p = current->process;
	struct sighand *fresh = NULL;
	struct files *files = NULL;
	long r = build(x);

	if (r != 0)
		return r;
	if (ref_read(&current->files->refs) > 1) {
		files = files_copy(current->files);
		if (files == NULL)
			return -ENOMEM;
	}
	if (ref_read(&p->sighand->refs) > 1)
		fresh = sighand_copy(p->sighand);
	if ((ref_read(&p->sighand->refs) > 1 && fresh == NULL) || !process_kill_others()) {
		if (files != NULL)
			files_put(files);
		sighand_put(fresh);
		return fresh == NULL ? -ENOMEM : -EAGAIN;
	}
	commit(x, fresh, files);
	return 0;
}

static long
do_exec(int dirfd, uaddr_t name, uaddr_t argv, uaddr_t envp, unsigned flags)
{
	struct exec *x = kmalloc(sizeof(*x));
	long r;

	if (x == NULL)
		return -ENOMEM;
	memset((char *)x + sizeof(x->filename), 0, sizeof(*x) - sizeof(x->filename));
	r = open_first(x, dirfd, name, flags);
	if (r == 0)
		r = resolve_scripts(x);
	if (r == 0)
		r = copy_arguments(x, argv, envp);
	if (r == 0)
		r = exec_run(x);
	exec_free(x);
	return r;
}

long
sys_execve(uint64_t name, uint64_t argv, uint64_t envp)
{
	return do_exec(AT_FDCWD, name, argv, envp, 0);
}

long
sys_execveat(uint64_t dirfd, uint64_t name, uint64_t argv, uint64_t envp, uint64_t flags)
{
	if (flags & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return do_exec((int)dirfd, name, argv, envp, (unsigned)flags);
}

/* The first program of the world: arguments come from the kernel. */
long
exec_init(const char *path)
{
	static const char *const env[] = { "HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin" };
	struct exec *x = kzalloc(sizeof(*x));
	long r = 0;

	if (x == NULL)
		return -ENOMEM;
	strlcpy(x->filename, path, sizeof(x->filename));
	x->file = open_kernel(path);
	if (IS_ERR(x->file)) {
		r = PTR_ERR(x->file);
		x->file = NULL;
	}
	if (r == 0)
		r = resolve_scripts(x);
	x->page_limit = 32;
	if (r == 0 && x->prefix_count == 0) {
		r = add_kernel_string(x, path);
		x->argc = 1;
	}
	for (unsigned i = 0; i < x->prefix_count && r == 0; i++, x->argc++)
		r = add_kernel_string(x, x->prefix[i]);
	x->env_at = x->used;
	for (; x->envc < ARRAY_LEN(env) && r == 0; x->envc++)
		r = add_kernel_string(x, env[x->envc]);
	x->name_at = x->used;
	if (r == 0)
		r = add_kernel_string(x, path);
	if (r == 0)
		r = exec_run(x);
	exec_free(x);
	return r;
}
