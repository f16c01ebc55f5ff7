/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: lookup, installing, closing, dup, close_range, and what
 * fork and exec do to them.  files->lock protects the table; a table that only
 * one task uses is read without it, and its files without a reference
 * (struct fdref): nobody else can close them during the call.
 */
#include <linux/close_range.h>
#include "internal.h"

enum { FILES_FIRST = 64, FILES_LIMIT = 1 << 18 };

static size_t words(unsigned size) { return (size + 63) / 64; }

static inline bool
bit_test(const uint64_t *map, unsigned n)
{
	return (map[n / 64] >> (n % 64) & 1) != 0;
}

static inline void
bit_put(uint64_t *map, unsigned n, bool on)
{
	if (on)
		map[n / 64] |= 1ULL << (n % 64);
	else
		map[n / 64] &= ~(1ULL << (n % 64));
}

/* First clear bit at or after `from`; size if there is none. */
static unsigned
bit_next_clear(const uint64_t *map, unsigned size, unsigned from)
{
	for (unsigned w = from / 64; w < words(size); w++) {
		uint64_t free = ~map[w];

		if (w == from / 64)
			free &= ~0ULL << (from % 64);
		if (free != 0)
			return min(w * 64 + (unsigned)__builtin_ctzll(free), size);
	}
	return size;
}

/* ---- life of a table ---- */

static bool
arrays_alloc(struct files *f, unsigned size)
{
	f->table = kzalloc(size * sizeof(f->table[0]));
	f->cloexec = kzalloc(2 * words(size) * sizeof(uint64_t));
	if (f->table == NULL || f->cloexec == NULL) {
		kfree(f->table);
		kfree(f->cloexec);
		return false;
	}
	f->used = f->cloexec + words(size);
	f->size = size;
	return true;
}

static struct files *
files_new(unsigned size)
{
	struct files *f = kzalloc(sizeof(*f));

	if (f == NULL)
		return NULL;
	ref_init(&f->refs, 1);
	spin_init(&f->lock, 50);
	if (!arrays_alloc(f, size)) {
		kfree(f);
		return NULL;
	}
	return f;
}

struct files *
files_create(void)
{
	return files_new(FILES_FIRST);
}

static unsigned
files_last(const struct files *f)
{
	for (size_t w = words(f->size); w-- > 0; )
		if (f->used[w] != 0)
			return (unsigned)(w * 64 + 64 - (unsigned)__builtin_clzll(f->used[w]));
	return 0;
}

struct files *
files_copy(struct files *old)
{
	unsigned size = FILES_FIRST, wanted;
	struct files *f;

	wanted = READ_ONCE(old->size);
	for (;;) {
		while (size < wanted)
			size *= 2;
		f = files_new(size);
		if (f == NULL)
			return NULL;
		spin_lock(&old->lock);
		wanted = (files_last(old) + 63) & ~63u;
		if (wanted <= size)
			break;
		spin_unlock(&old->lock);	/* it grew meanwhile */
		files_put(f);
	}
	for (unsigned w = 0; w < wanted / 64; w++) {
		uint64_t used = old->used[w];

		f->used[w] = used;
		f->cloexec[w] = old->cloexec[w];
		for (; used != 0; used &= used - 1) {
			unsigned fd = w * 64 + (unsigned)__builtin_ctzll(used);
			struct file *file = old->table[fd];

			if (file != NULL)
				file_get(file);
			else
				bit_put(f->used, fd, false);	/* reserved by an open that is not done */
			f->table[fd] = file;
		}
	}
	f->next = old->next;
	spin_unlock(&old->lock);
	return f;
}

/* What close(2) does beside giving the reference up. */
static long
file_close(struct file *file, struct files *owner)
{
	long r = 0;

	if (file->ops->flush != NULL)
		r = file->ops->flush(file);
	if (file->inode != NULL && !list_empty(&file->inode->locks))
		locks_close(file, owner);
	file_put(file);
	return r;
}

void
files_put(struct files *f)
{
	if (f == NULL || !ref_put(&f->refs))
		return;
	for (unsigned w = 0; w < words(f->size); w++)
		for (uint64_t used = f->used[w]; used != 0; used &= used - 1) {
			struct file *file = f->table[w * 64 + (unsigned)__builtin_ctzll(used)];

			if (file != NULL)
				file_close(file, f);
		}
	kfree(f->table);
	kfree(f->cloexec);
	grace_free(f, NULL);	/* partner: files_of */
}

/* ---- lookup ---- */

struct file *
fd_get_any(int fd)
{
	struct files *fs = current->files;
	struct file *f;

	spin_lock(&fs->lock);
	f = (unsigned)fd < fs->size ? fs->table[fd] : NULL;
	if (f != NULL)
		file_get(f);
	spin_unlock(&fs->lock);
	return f;
}

struct file *
fd_get(int fd)
{
	struct file *f = fd_get_any(fd);

	if (f != NULL && (f->flags & O_PATH) != 0) {
		file_put(f);
		return NULL;
	}
	return f;
}

/* Another task's table: it may exit or exec meanwhile, its memory waits for the section. */
struct files *
files_of(struct task *t)
{
	struct files *fs;

	read_begin();
	fs = READ_ONCE(t->files);
	if (fs != NULL && !ref_get_unless_zero(&fs->refs))
		fs = NULL;
	read_end();
	return fs;
}

struct file *
fd_get_task(struct task *t, int fd)
{
	struct files *fs = files_of(t);
	struct file *f;

	if (fs == NULL)
		return NULL;
	spin_lock(&fs->lock);
	f = (unsigned)fd < fs->size ? fs->table[fd] : NULL;
	if (f != NULL)
		file_get(f);
	spin_unlock(&fs->lock);
	files_put(fs);
	return f;
}

struct fdref
fdref_get_any(int fd)
{
	struct files *fs = current->files;

	if (likely(ref_read(&fs->refs) == 1))
		return (struct fdref){ (unsigned)fd < fs->size ? fs->table[fd] : NULL, false };
	struct file *f = fd_get_any(fd);

	return (struct fdref){ f, f != NULL };
}

struct fdref
fdref_get_shared(int fd)
{
	struct file *f = fd_get(fd);

	return (struct fdref){ f, f != NULL };
}

void
fdref_put_slow(struct file *f)
{
	file_put(f);
}

/* ---- installing ---- */

long
files_max(void)
{
	return (long)min(rlimit(RLIMIT_NOFILE), (uint64_t)FILES_LIMIT);
}

/* lock held, dropped and taken again.  True: size > fd now. */
static bool
files_grow(struct files *f, unsigned fd)
{
	struct files bigger = { 0 };
	struct file **old_table;
	uint64_t *old_bits;
	unsigned size = f->size;

	while (size <= fd)
		size *= 2;
	spin_unlock(&f->lock);
	bool ok = arrays_alloc(&bigger, size);

	spin_lock(&f->lock);
	if (!ok)
		return f->size > fd;
	if (f->size >= size) {
		spin_unlock(&f->lock);
		kfree(bigger.table);
		kfree(bigger.cloexec);
		spin_lock(&f->lock);
		return true;
	}
	memcpy(bigger.table, f->table, f->size * sizeof(f->table[0]));
	memcpy(bigger.cloexec, f->cloexec, words(f->size) * sizeof(uint64_t));
	memcpy(bigger.used, f->used, words(f->size) * sizeof(uint64_t));
	old_table = f->table;
	old_bits = f->cloexec;
	f->table = bigger.table;
	f->cloexec = bigger.cloexec;
	f->used = bigger.used;
	f->size = size;
	kfree(old_table);
	kfree(old_bits);
	return true;
}

int
fd_install(struct file *file, unsigned min_fd, bool cloexec)
{
	struct files *f = current->files;
	unsigned limit = (unsigned)files_max(), fd;

	spin_lock(&f->lock);
	for (;;) {
		fd = bit_next_clear(f->used, f->size, max(min_fd, f->next));
		if (fd >= limit) {
			spin_unlock(&f->lock);
			return -EMFILE;
		}
		if (fd < f->size)
			break;
		if (!files_grow(f, fd)) {
			spin_unlock(&f->lock);
			return -EMFILE;
		}
	}
	bit_put(f->used, fd, true);
	bit_put(f->cloexec, fd, cloexec);
	f->table[fd] = file;
	if (min_fd <= f->next)
		f->next = fd + 1;
	spin_unlock(&f->lock);
	return (int)fd;
}

/* ---- closing ---- */

static struct file *
fd_take_locked(struct files *f, unsigned fd)
{
	struct file *file = fd < f->size ? f->table[fd] : NULL;

	if (file == NULL)
		return NULL;
	f->table[fd] = NULL;
	bit_put(f->used, fd, false);
	bit_put(f->cloexec, fd, false);
	if (fd < f->next)
		f->next = fd;
	return file;
}

long
fd_close(int fd)
{
	struct files *f = current->files;
	struct file *file;

	spin_lock(&f->lock);
	file = fd_take_locked(f, (unsigned)fd);
	spin_unlock(&f->lock);
	return file == NULL ? -EBADF : file_close(file, f);
}

long
sys_close(uint64_t fd)
{
	return fd_close((int)fd);
}

void
files_exec(struct files *f)
{
	for (unsigned w = 0; w < words(f->size); w++)
		for (;;) {
			struct file *file = NULL;

			spin_lock(&f->lock);
			if (w < words(f->size) && f->cloexec[w] != 0)
				file = fd_take_locked(f, w * 64 + (unsigned)__builtin_ctzll(f->cloexec[w]));
			spin_unlock(&f->lock);
			if (file == NULL)
				break;
			file_close(file, f);
		}
}

static long
range_cloexec(struct files *f, unsigned first, unsigned last)
{
	spin_lock(&f->lock);
	for (unsigned fd = first; fd <= last && fd < f->size; fd++)
		if (f->table[fd] != NULL)
			bit_put(f->cloexec, fd, true);
	spin_unlock(&f->lock);
	return 0;
}

long
sys_close_range(uint64_t first64, uint64_t last64, uint64_t flags)
{
	unsigned first = (unsigned)first64, last = (unsigned)last64;

	if ((flags & ~(uint64_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 || first > last)
		return -EINVAL;
	if ((flags & CLOSE_RANGE_UNSHARE) != 0 && ref_read(&current->files->refs) > 1) {
		struct files *own = files_copy(current->files), *old = current->files;

		if (own == NULL)
			return -ENOMEM;
		current->files = own;
		files_put(old);
	}
	if (flags & CLOSE_RANGE_CLOEXEC)
		return range_cloexec(current->files, first, last);
	for (unsigned fd = first; fd <= last && fd < READ_ONCE(current->files->size); fd++)
		fd_close((int)fd);
	return 0;
}

/* ---- dup ---- */

long
sys_dup(uint64_t fd)
{
	struct file *f = fd_get_any((int)fd);
	int r;

	if (f == NULL)
		return -EBADF;
	r = fd_install(f, 0, false);
	if (r < 0)
		file_put(f);
	return r;
}

long
sys_dup3(uint64_t oldfd, uint64_t newfd64, uint64_t flags)
{
	struct files *fs = current->files;
	unsigned newfd = (unsigned)newfd64;
	struct file *f, *old;

	if (((uint32_t)flags & ~(uint32_t)O_CLOEXEC) != 0 || (unsigned)oldfd == newfd)
		return -EINVAL;
	if (newfd >= (unsigned)files_max())
		return -EBADF;
	f = fd_get_any((int)oldfd);
	if (f == NULL)
		return -EBADF;
	spin_lock(&fs->lock);
	if (newfd >= fs->size && !files_grow(fs, newfd)) {
		spin_unlock(&fs->lock);
		file_put(f);
		return -EMFILE;
	}
	if (fs->table[newfd] == NULL && bit_test(fs->used, newfd)) {
		spin_unlock(&fs->lock);
		file_put(f);
		return -EBUSY;		/* an open in another thread has the number */
	}
	old = fs->table[newfd];
	fs->table[newfd] = f;
	bit_put(fs->used, newfd, true);
	bit_put(fs->cloexec, newfd, (flags & O_CLOEXEC) != 0);
	spin_unlock(&fs->lock);
	if (old != NULL)
		file_close(old, fs);
	return newfd;
}

long
fd_dup_from(struct file *f, uint64_t from, bool cloexec)
{
	int r;

	if (from >= (uint64_t)files_max())
		return -EINVAL;
	file_get(f);
	r = fd_install(f, (unsigned)from, cloexec);
	if (r < 0)
		file_put(f);
	return r;
}

/* ---- flags, listing ---- */

bool
files_cloexec(struct files *f, unsigned fd)
{
	bool on;

	spin_lock(&f->lock);
	on = fd < f->size && bit_test(f->cloexec, fd);
	spin_unlock(&f->lock);
	return on;
}

long
fd_set_cloexec(unsigned fd, bool on)
{
	struct files *f = current->files;
	long r = -EBADF;

	spin_lock(&f->lock);
	if (fd < f->size && f->table[fd] != NULL) {
		bit_put(f->cloexec, fd, on);
		r = 0;
	}
	spin_unlock(&f->lock);
	return r;
}

struct file *
files_nth(struct files *f, unsigned from, unsigned *fd)
{
	struct file *file = NULL;

	spin_lock(&f->lock);
	for (unsigned i = from; i < f->size; i++)
		if (f->table[i] != NULL) {
			file = f->table[i];
			file_get(file);
			*fd = i;
			break;
		}
	spin_unlock(&f->lock);
	return file;
}
