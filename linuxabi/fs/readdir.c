/* SPDX-License-Identifier: MIT */
/*
 * getdents64.  Entries are laid out in kernel memory while the directory is
 * locked, and copied out in one go.
 */
#include "internal.h"

enum { DIRENT_HEAD = 19, BUFFER_MAX = 32768, BUFFER_SMALL = 2048 };

struct dirent_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct dirent_head) == DIRENT_HEAD, "linux_dirent64 without the name");

bool
dir_emit_dots(struct file *f, struct dir_context *ctx)
{
	struct dentry *d = f->path.dentry;

	if (ctx->pos == 0) {
		if (!ctx->emit(ctx, ".", 1, d->inode->ino, 4))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->emit(ctx, "..", 2, d->parent->inode->ino, 4))
			return false;
		ctx->pos = 2;
	}
	return true;
}

struct getdents {
	struct dir_context ctx;
	char *buf;
	size_t size, used;
	struct dirent_head *last;	/* its offset is the position after it */
	bool too_small;
};

/* ctx.pos is the position of this entry when emit is called. */
static bool
getdents_emit(struct dir_context *ctx, const char *name, size_t len, uint64_t ino, unsigned type)
{
	struct getdents *g = container_of(ctx, struct getdents, ctx);
	size_t reclen = (DIRENT_HEAD + len + 1 + 7) & ~(size_t)7;
	struct dirent_head *h;

	if (g->last != NULL)
		g->last->off = ctx->pos;
	if (g->size - g->used < reclen) {
		g->too_small = true;
		return false;
	}
	h = (struct dirent_head *)(void *)(g->buf + g->used);
	/* The last word first: it holds the padding, which must not leak. */
	*(uint64_t *)(void *)(g->buf + g->used + reclen - 8) = 0;
	h->ino = ino;
	h->reclen = (uint16_t)reclen;
	h->type = (uint8_t)type;
	memcpy(g->buf + g->used + DIRENT_HEAD, name, len);
	g->used += reclen;
	g->last = h;
	return true;
}

static long
getdents(struct file *f, uaddr_t user, size_t size)
{
	char small[BUFFER_SMALL] __attribute__((aligned(8)));
	struct getdents g = { .ctx = { .pos = f->pos, .emit = getdents_emit }, .buf = small,
	    .size = min(size, (size_t)BUFFER_MAX) & ~(size_t)7 };
	struct inode *i = f->inode;
	long r;

	if (g.size > sizeof(small)) {
		g.buf = kmalloc(g.size);
		if (g.buf == NULL)
			return -ENOMEM;
	}
	mutex_lock(&i->lock);
	r = i->nlink == 0 ? -ENOENT : f->ops->iterate(f, &g.ctx);
	mutex_unlock(&i->lock);
	if (r >= 0 && g.used > 0) {
		g.last->off = g.ctx.pos;
		r = copy_to_user(user, g.buf, g.used) < 0 ? -EFAULT : (long)g.used;
	} else if (r >= 0) {
		r = g.too_small ? -EINVAL : 0;
	}
	if (r >= 0) {
		f->pos = g.ctx.pos;
		inode_touch_atime(f);
	}
	if (g.buf != small)
		kfree(g.buf);
	return r;
}

long
sys_getdents64(uint64_t fd, uint64_t buf, uint64_t count)
{
	struct fdref ref = fdref_get((int)fd);
	struct file *f = ref.file;
	long r;

	if (f == NULL)
		return -EBADF;
	if (f->ops->iterate == NULL) {
		r = -ENOTDIR;
	} else {
		mutex_lock(&f->pos_lock);
		r = getdents(f, buf, (unsigned)count);
		mutex_unlock(&f->pos_lock);
	}
	fdref_put(ref);
	return r;
}
