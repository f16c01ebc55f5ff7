/* SPDX-License-Identifier: MIT */
/*
 * The path walk, path_resolution(7).  It is written once and compiled twice: in
 * a read section, without a lock or a reference (fast), and with references
 * (slow), when a name is not in the cache, a link has to be asked for, or names
 * moved meanwhile.  A fast walk's result, errors included, holds only if
 * rename_seq stayed the same.
 */
#include <linux/openat2.h>
#include "internal.h"

enum { FAST_DEPTH = 6, RETRY_SLOW = 1 };

struct walk_level {
	const char *rest;	/* what follows the link */
	char *page;		/* that holds the link's text, or NULL */
};

struct walk {
	struct path path;
	struct path root;
	const char *name;
	unsigned flags;
	unsigned links;		/* followed so far */
	unsigned depth;
	bool directory;		/* the end must be one */
	struct last *last;
	struct path start;	/* WALK_BENEATH, WALK_IN_ROOT */
	struct walk_level level[SYMLINKS_MAX + 1];
};

static struct kcache *path_pages;

/* ---- names ---- */

char *
path_page_get(void)
{
	if (unlikely(path_pages == NULL))
		path_pages = kcache_create("path", PATH_MAX_ + 64, 64);
	return kcache_alloc(path_pages);
}

void
path_page_put(char *page)
{
	kcache_free(path_pages, page);
}

static long
pathname_fetch(struct pathname *p, uaddr_t user)
{
	long n = strncpy_from_user(p->small, user, sizeof(p->small) - PATH_PAD);

	p->page = NULL;
	p->text = p->small;
	if (likely(n != -ENAMETOOLONG))
		return n;
	p->page = path_page_get();
	if (p->page == NULL)
		return -ENOMEM;
	n = strncpy_from_user(p->page, user, PATH_MAX_);
	if (n < 0) {
		path_page_put(p->page);
		p->page = NULL;
		return n;
	}
	p->text = p->page;
	return n;
}

long
pathname_get_empty(struct pathname *p, uaddr_t user)
{
	long n = pathname_fetch(p, user);

	return n < 0 ? n : 0;
}

long
pathname_get(struct pathname *p, uaddr_t user)
{
	long n = pathname_fetch(p, user);

	if (n < 0)
		return n;
	if (n == 0) {
		pathname_put(p);
		return -ENOENT;
	}
	return 0;
}

long
pathname_kernel(struct pathname *p, const char *text)
{
	size_t n = strlen(text);

	p->page = NULL;
	if (n < sizeof(p->small) - PATH_PAD) {
		memcpy(p->small, text, n + 1);
		p->text = p->small;
		return 0;
	}
	if (n >= PATH_MAX_)
		return -ENAMETOOLONG;
	p->page = path_page_get();
	if (p->page == NULL)
		return -ENOMEM;
	memcpy(p->page, text, n + 1);
	p->text = p->page;
	return 0;
}

void
pathname_put(struct pathname *p)
{
	if (unlikely(p->page != NULL))
		path_page_put(p->page);
	p->page = NULL;
}

/* ---- references of the slow walk ---- */

void
path_get(struct path *p)
{
	if (p->mnt != NULL)
		mount_get(p->mnt);
	if (p->dentry != NULL)
		dentry_get(p->dentry);
}

void
path_put(struct path *p)
{
	struct mount *m = p->mnt;
	struct dentry *d = p->dentry;

	p->mnt = NULL;
	p->dentry = NULL;
	if (d != NULL)
		dentry_put(d);
	if (m != NULL)
		mount_put(m);
}

static inline bool path_equal(const struct path *a, const struct path *b) { return a->dentry == b->dentry && a->mnt == b->mnt; }

/* Go to (mnt, d).  Slow: takes over a reference on d, and gets one on a new mnt. */
static inline void
walk_to(struct walk *w, struct mount *mnt, struct dentry *d, bool fast)
{
	if (!fast) {
		if (mnt != w->path.mnt) {
			mount_get(mnt);
			mount_put(w->path.mnt);
		}
		dentry_put(w->path.dentry);
	}
	w->path.mnt = mnt;
	w->path.dentry = d;
}

static void
walk_to_path(struct walk *w, const struct path *p, bool fast)
{
	if (!fast)
		dentry_get(p->dentry);
	walk_to(w, p->mnt, p->dentry, fast);
}

/* The mount on d as seen from mnt, with references if slow. */
static struct mount *
mounted_on(struct mount *mnt, struct dentry *d, bool fast)
{
	struct mount *m;

	if (fast)
		return mount_at(mnt, d);
	do {
		read_begin();
		m = mount_at(mnt, d);
		if (m != NULL && !mount_try_get(m))
			m = ERR_PTR(-EAGAIN);
		read_end();
	} while (IS_ERR(m));
	return m;
}

/* Down through everything that is mounted on where we are. */
static long
walk_cross_mounts(struct walk *w, bool fast)
{
	while (unlikely((READ_ONCE(w->path.dentry->flags) & DF_MOUNTPOINT) != 0)) {
		struct mount *m = mounted_on(w->path.mnt, w->path.dentry, fast);

		if (m == NULL)
			return 0;
		if (w->flags & WALK_NO_XDEV) {
			if (!fast)
				mount_put(m);
			return -EXDEV;
		}
		if (!fast) {
			dentry_get(m->root);
			dentry_put(w->path.dentry);
			mount_put(w->path.mnt);
		}
		w->path.mnt = m;
		w->path.dentry = m->root;
	}
	return 0;
}

static long
walk_parent(struct walk *w, bool fast)
{
	if ((w->flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0 && path_equal(&w->path, &w->start))
		return (w->flags & WALK_BENEATH) ? -EXDEV : 0;
	while (!path_equal(&w->path, &w->root)) {
		struct dentry *d = w->path.dentry;
		struct mount *m = w->path.mnt;

		if (d != m->root) {
			struct dentry *parent;

			if (!fast) {
				read_begin();
				parent = d->parent;
				if (!dentry_try_get(parent))
					parent = NULL;
				read_end();
				if (parent == NULL)
					continue;	/* it moved in this moment */
			} else {
				parent = d->parent;
			}
			walk_to(w, m, parent, fast);
			return walk_cross_mounts(w, fast);
		}
		if (m->parent == NULL)
			return 0;
		if (w->flags & WALK_NO_XDEV)
			return -EXDEV;
		if (!fast) {
			mutex_lock(&mount_mutex);
			if (m->parent == NULL) {
				mutex_unlock(&mount_mutex);
				return 0;
			}
			dentry_get(m->point);
			walk_to(w, m->parent, m->point, fast);
			mutex_unlock(&mount_mutex);
			continue;
		}
		w->path.dentry = m->point;
		w->path.mnt = m->parent;
	}
	return 0;
}

/* ---- looking a name up ---- */

static struct dentry *
cached_child(struct dentry *dir, const struct last *l)
{
	struct dentry *d;

	read_begin();
	d = dentry_find(dir, l->name, l->len, l->hash);
	if (d != NULL && !dentry_try_get(d))
		d = NULL;
	read_end();
	return d;
}

/* The directory's inode is locked: what is in the cache is the truth. */
struct dentry *
lookup_child_locked(struct dentry *dir, const struct last *l)
{
	struct dentry *d;
	long r;

	if (l->len > NAME_MAX_)
		return ERR_PTR(-ENAMETOOLONG);
	d = cached_child(dir, l);
	if (d != NULL)
		return d;
	if (dir->inode->nlink == 0 || dir->inode->ops->lookup == NULL)
		return ERR_PTR(-ENOENT);
	d = dentry_alloc(dir, l->name, l->len, l->hash);
	if (d == NULL)
		return ERR_PTR(-ENOMEM);
	r = dir->inode->ops->lookup(dir->inode, d);
	if (r < 0) {
		dentry_put(d);
		return ERR_PTR(r);
	}
	dentry_hash(d);
	return d;
}

struct dentry *
lookup_name_locked(struct dentry *dir, const char *name)
{
	char text[64 + PATH_PAD] = { 0 };
	struct last l = { .type = LAST_NORMAL, .name = text, .len = (unsigned)strlcpy(text, name, 64) };

	if (l.len >= 64)
		return ERR_PTR(-ENAMETOOLONG);
	l.hash = name_hash(text, l.len);
	return lookup_child_locked(dir, &l);
}

struct dentry *
lookup_child(struct dentry *dir, const struct last *l)
{
	struct dentry *d;

	if (l->len > NAME_MAX_)
		return ERR_PTR(-ENAMETOOLONG);
	/* A rename in this moment may hide a name from a reader: a miss is
	 * decided with the lock. */
	d = cached_child(dir, l);
	if (d != NULL)
		return d;
	mutex_lock(&dir->inode->lock);
	d = lookup_child_locked(dir, l);
	mutex_unlock(&dir->inode->lock);
	return d;
}

/* ---- symbolic links ---- */

static long
link_count(struct walk *w)
{
	return ++w->links > SYMLINKS_MAX ? -ELOOP : 0;
}

/* The link's text in a page of its own, since the link may be removed while we follow it. */
static const char *
link_text(struct dentry *d, char **page)
{
	struct inode *i = d->inode;
	ssize_t n;

	if (i->link == NULL && i->ops->readlink == NULL)
		return ERR_PTR(-EINVAL);
	*page = path_page_get();
	if (*page == NULL)
		return ERR_PTR(-ENOMEM);
	if (i->link != NULL) {
		strlcpy(*page, i->link, PATH_MAX_);
		return *page;
	}
	n = i->ops->readlink(i, d, *page, PATH_MAX_);
	if (n < 0) {
		path_page_put(*page);
		*page = NULL;
		return ERR_PTR(n);
	}
	(*page)[min(n, (ssize_t)PATH_MAX_ - 1)] = '\0';
	return *page;
}

static long
walk_magic_link(struct walk *w, struct dentry *d)
{
	struct path p = { NULL, NULL };
	long r;

	if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
		return -EXDEV;
	if (w->flags & WALK_NO_MAGICLINKS)
		return -ELOOP;
	r = d->inode->ops->follow(d->inode, &p);
	if (r < 0)
		return r;
	if ((w->flags & WALK_NO_XDEV) && p.mnt != w->path.mnt) {
		path_put(&p);
		return -EXDEV;
	}
	path_put(&w->path);
	w->path = p;
	return 0;
}

/* An absolute link starts at the root. */
static long
walk_to_root(struct walk *w, bool fast)
{
	if (w->flags & WALK_BENEATH)
		return -EXDEV;
	if ((w->flags & WALK_NO_XDEV) && w->root.mnt != w->path.mnt)
		return -EXDEV;
	walk_to_path(w, &w->root, fast);
	return 0;
}

/*
 * d is a link in the directory where we are; `rest` follows it.  Continues at
 * *name.  Slow: consumes the reference on d.
 */
static inline long
walk_link(struct walk *w, struct dentry *d, const char *rest, const char **name, bool fast)
{
	struct inode *i = d->inode;
	const char *text;
	char *page = NULL;
	long r;

	if (fast) {
		if (i == NULL || (text = READ_ONCE(i->link)) == NULL || w->depth >= FAST_DEPTH ||
		    w->links + 1 > SYMLINKS_MAX || (w->flags & WALK_NO_SYMLINKS) != 0)
			return RETRY_SLOW;
		w->links++;
	} else {
		r = (w->flags & WALK_NO_SYMLINKS) ? -ELOOP : link_count(w);
		if (r == 0 && i->ops->follow != NULL) {
			r = walk_magic_link(w, d);
			dentry_put(d);
			*name = rest;
			return r;
		}
		text = r == 0 ? link_text(d, &page) : ERR_PTR(r);
		dentry_put(d);
		if (IS_ERR(text))
			return PTR_ERR(text);
		if (*text == '\0') {
			path_page_put(page);
			return -ENOENT;
		}
	}
	w->level[w->depth].rest = rest;
	w->level[w->depth].page = page;
	w->depth++;
	*name = text;
	if (*text == '/') {
		r = walk_to_root(w, fast);
		if (r < 0)
			return r;
	}
	return 0;
}

static void
walk_pop(struct walk *w, bool fast)
{
	w->depth--;
	if (!fast && w->level[w->depth].page != NULL)
		path_page_put(w->level[w->depth].page);
}

/* Is there no further component, here or in any level below? */
static bool
only_slashes(struct walk *w, const char *s, bool *slash)
{
	unsigned depth = w->depth;

	for (;;) {
		while (*s == '/') {
			*slash = true;
			s++;
		}
		if (*s != '\0')
			return false;
		if (depth == 0)
			return true;
		s = w->level[--depth].rest;
	}
}

/* ---- the walk ---- */

static inline long
may_search(struct inode *i, bool fast)
{
	if (likely(dir_searchable_by_all(i)))
		return 0;
	if (fast && i->ops->permission != NULL)
		return RETRY_SLOW;
	return inode_permission(i, MAY_EXEC);
}

static inline enum last_type
component_type(const char *s, unsigned len)
{
	if (likely(s[0] != '.'))
		return LAST_NORMAL;
	if (len == 1)
		return LAST_DOT;
	return len == 2 && s[1] == '.' ? LAST_DOTDOT : LAST_NORMAL;
}

static inline __attribute__((always_inline)) long
walk_run(struct walk *w, const bool fast)
{
	const char *s = w->name;
	long r;

	if (w->last != NULL)
		*w->last = (struct last){ .type = LAST_ROOT };
	for (;;) {
		struct last l;
		struct inode *dir;
		struct dentry *d;
		bool slash = false, end;

		while (*s == '/')
			s++;
		if (*s == '\0') {
			if (w->depth == 0)
				break;
			s = w->level[w->depth - 1].rest;
			walk_pop(w, fast);
			continue;
		}
		dir = w->path.dentry->inode;
		if (unlikely(dir == NULL))
			return fast ? RETRY_SLOW : -ENOENT;
		if (unlikely(!is_type(dir, S_IFDIR)))
			return -ENOTDIR;
		r = may_search(dir, fast);
		if (unlikely(r != 0))
			return r;
		l.name = s;
		l.hash = component_hash(s, &l.len);
		l.type = component_type(s, l.len);
		s += l.len;
		if (*s == '\0' && w->depth == 0)
			end = true;
		else
			end = only_slashes(w, s, &slash);
		if (end && (w->flags & WALK_PARENT) != 0) {
			l.slash = slash;
			*w->last = l;
			return 0;
		}
		if (unlikely(l.type != LAST_NORMAL)) {
			w->directory |= end && slash;
			if (l.type == LAST_DOTDOT) {
				r = walk_parent(w, fast);
				if (r != 0)
					return r;
			}
			continue;
		}
		if (fast) {
			struct inode *i;

			d = dentry_find(w->path.dentry, l.name, l.len, l.hash);
			if (d == NULL)
				return RETRY_SLOW;
			i = __atomic_load_n(&d->inode, __ATOMIC_ACQUIRE);
			if (i == NULL)
				return -ENOENT;
			if (unlikely(is_type(i, S_IFLNK)) &&
			    (!end || slash || (w->flags & WALK_FOLLOW) != 0)) {
				w->directory |= end && slash;
				r = walk_link(w, d, s, &s, fast);
				if (r != 0)
					return r;
				continue;
			}
			w->path.dentry = d;
		} else {
			d = lookup_child(w->path.dentry, &l);
			if (IS_ERR(d))
				return PTR_ERR(d);
			if (d->inode == NULL) {
				dentry_put(d);
				return -ENOENT;
			}
			if (is_type(d->inode, S_IFLNK) && (!end || slash || (w->flags & WALK_FOLLOW) != 0)) {
				w->directory |= end && slash;
				r = walk_link(w, d, s, &s, fast);
				if (r != 0)
					return r;
				continue;
			}
			walk_to(w, w->path.mnt, d, fast);
		}
		w->directory |= end && slash;
		r = walk_cross_mounts(w, fast);
		if (unlikely(r != 0))
			return r;
	}
	if (w->directory || (w->flags & WALK_DIRECTORY) != 0) {
		struct inode *i = w->path.dentry->inode;

		if (i == NULL)
			return fast ? RETRY_SLOW : -ENOENT;
		if (!is_type(i, S_IFDIR))
			return -ENOTDIR;
	}
	return 0;
}

/* ---- where it starts ---- */

static void
context_snapshot(struct path *root, struct path *cwd)
{
	struct fs_context *fs = current->fs;

	if (ref_read(&fs->refs) == 1) {
		*root = fs->root;
		*cwd = fs->cwd;
		return;
	}
	spin_lock(&fs->lock);
	*root = fs->root;
	*cwd = fs->cwd;
	spin_unlock(&fs->lock);
}

static void
context_snapshot_ref(struct path *root, struct path *cwd)
{
	struct fs_context *fs = current->fs;

	spin_lock(&fs->lock);
	*root = fs->root;
	*cwd = fs->cwd;
	path_get(root);
	path_get(cwd);
	spin_unlock(&fs->lock);
}

/* Fast: in a read section; the file of dirfd is held by the caller. */
static long
walk_start(struct walk *w, const char *text, const struct path *root, const struct path *cwd,
    const struct path *base, unsigned flags, struct last *last)
{
	w->root = *root;
	w->name = text;
	w->flags = flags;
	w->links = 0;
	w->depth = 0;
	w->directory = false;
	w->last = last;
	if (*text == '/') {
		if (flags & WALK_BENEATH)
			return -EXDEV;
		w->path = (flags & WALK_IN_ROOT) ? (base != NULL ? *base : *cwd) : w->root;
	} else {
		w->path = base != NULL ? *base : *cwd;
	}
	w->start = w->path;
	if (flags & WALK_IN_ROOT)
		w->root = w->path;
	return 0;
}

static long
walk_slow(const struct path *base, const char *text, unsigned flags, struct path *out, struct last *last)
{
	struct walk state, *w = &state;
	struct path root, cwd;
	long r;

	context_snapshot_ref(&root, &cwd);
	r = walk_start(w, text, &root, &cwd, base, flags, last);
	if (r < 0)
		goto out;
	path_get(&w->path);
	r = walk_run(w, false);
	/* `last` points into the caller's text, never into a link's: a link at the
	 * very end is not followed with WALK_PARENT. */
	while (w->depth > 0)
		walk_pop(w, false);
	if (r == 0)
		*out = w->path;
	else
		path_put(&w->path);
out:
	path_put(&root);
	path_put(&cwd);
	return r;
}

long
walk_peek(int dirfd, const char *text, unsigned flags, struct path *out, uint32_t *seq)
{
	struct walk w;
	struct path root, cwd;
	long r;

	if (dirfd != AT_FDCWD && *text != '/')
		return RETRY_SLOW;
	*seq = rename_seq_begin();
	if (*seq & 1)
		return RETRY_SLOW;
	context_snapshot(&root, &cwd);
	walk_start(&w, text, &root, &cwd, NULL, flags, NULL);
	r = walk_run(&w, true);
	if (r < 0 && !rename_seq_same(*seq))
		return RETRY_SLOW;
	*out = w.path;
	return r;
}

/* A fast walk whose result gets references.  RETRY_SLOW: nothing is known. */
static long
walk_fast(const struct path *base, const char *text, unsigned flags, struct path *out, struct last *last)
{
	struct walk w;
	struct path root, cwd;
	uint32_t seq;
	long r;

	read_begin();
	seq = rename_seq_begin();
	context_snapshot(&root, &cwd);
	r = walk_start(&w, text, &root, &cwd, base, flags, last);
	if (r == 0)
		r = walk_run(&w, true);
	if (!rename_seq_same(seq))
		r = RETRY_SLOW;
	if (r == 0) {
		if (!dentry_try_get(w.path.dentry)) {
			r = RETRY_SLOW;
		} else if (READ_ONCE(w.path.dentry->inode) == NULL || !mount_try_get(w.path.mnt)) {
			read_end();
			dentry_put(w.path.dentry);
			return RETRY_SLOW;
		}
	}
	read_end();
	if (r == 0)
		*out = w.path;
	return r;
}

static long
walk_from(const struct path *base, const char *text, unsigned flags, struct path *out, struct last *last)
{
	long r = RETRY_SLOW;

	if ((flags & (WALK_BENEATH | WALK_IN_ROOT | WALK_NO_XDEV)) == 0)
		r = walk_fast(base, text, flags, out, last);
	if (r == RETRY_SLOW)
		r = walk_slow(base, text, flags, out, last);
	return r;
}

long
walk_path(int dirfd, const struct path *base, const char *text, unsigned flags, struct path *out, struct last *last)
{
	struct fdref dir;
	long r;

	if (*text == '\0') {
		if ((flags & WALK_EMPTY) == 0)
			return -ENOENT;
		if (dirfd == AT_FDCWD)
			return walk_from(base, ".", flags, out, last);
		dir = fdref_get_any(dirfd);
		if (dir.file == NULL)
			return -EBADF;
		r = dir.file->path.dentry == NULL ? -ENOENT : 0;
		if (r == 0) {
			*out = dir.file->path;
			path_get(out);
		}
		fdref_put(dir);
		return r;
	}
	if (base != NULL || dirfd == AT_FDCWD || (*text == '/' && (flags & WALK_IN_ROOT) == 0))
		return walk_from(base, text, flags, out, last);
	dir = fdref_get_any(dirfd);
	if (dir.file == NULL)
		return -EBADF;
	if (dir.file->path.dentry == NULL || !is_type(dir.file->inode, S_IFDIR))
		r = -ENOTDIR;
	else
		r = walk_from(&dir.file->path, text, flags, out, last);
	fdref_put(dir);
	return r;
}

long
path_walk(int dirfd, const char *name, unsigned flags, struct path *out)
{
	struct pathname p;
	long r = pathname_kernel(&p, name);

	if (r < 0)
		return r;
	r = walk_path(dirfd, NULL, p.text, flags, out, NULL);
	pathname_put(&p);
	return r;
}

long
path_walk_user(int dirfd, uaddr_t name, unsigned flags, struct path *out)
{
	struct pathname p;
	long r = (flags & WALK_EMPTY) ? pathname_get_empty(&p, name) : pathname_get(&p, name);

	if (r < 0)
		return r;
	r = walk_path(dirfd, NULL, p.text, flags, out, NULL);
	pathname_put(&p);
	return r;
}

/* ---- back to text ---- */

static bool
text_prepend(char **p, char *buf, const char *s, size_t len)
{
	if ((size_t)(*p - buf) < len)
		return false;
	*p -= len;
	memcpy(*p, s, len);
	return true;
}

/* dcache_lock held: names and parents stay. */
static char *
path_text_locked(const struct path *path, const struct path *root, char *buf, char *end, bool deleted)
{
	struct dentry *d = path->dentry;
	struct mount *m = path->mnt;
	char *p = end, *full;

	if (!text_prepend(&p, buf, "", 1))
		return ERR_PTR(-ENAMETOOLONG);
	if (d->flags & DF_RAW)
		return text_prepend(&p, buf, d->name, d->len) ? p : ERR_PTR(-ENAMETOOLONG);
	if (deleted && (dentry_unlinked(d) || (d->flags & DF_ANON) != 0) && !text_prepend(&p, buf, " (deleted)", 10))
		return ERR_PTR(-ENAMETOOLONG);
	full = p;
	if (d->flags & DF_ANON)
		return text_prepend(&p, buf, d->name, d->len) && text_prepend(&p, buf, "/", 1) ? p : ERR_PTR(-ENAMETOOLONG);
	while (d != root->dentry || m != root->mnt) {
		if (m != NULL && d == m->root) {
			if (m->parent == NULL)
				break;
			d = m->point;
			m = m->parent;
			continue;
		}
		if (dentry_is_root(d))
			break;
		if (!text_prepend(&p, buf, d->name, d->len) || !text_prepend(&p, buf, "/", 1))
			return ERR_PTR(-ENAMETOOLONG);
		d = d->parent;
	}
	if (p == full && !text_prepend(&p, buf, "/", 1))
		return ERR_PTR(-ENAMETOOLONG);
	return p;
}

char *
path_text(const struct path *path, char *buf, size_t size, bool deleted)
{
	struct path root, cwd;
	char *p;

	read_begin();
	if (current->fs != NULL)
		context_snapshot(&root, &cwd);
	else
		root = (struct path){ root_mount, root_mount->root };
	read_end();
	/* Mounts do not change either while dcache_lock is held (mount.c). */
	spin_lock(&dcache_lock);
	p = path_text_locked(path, &root, buf, buf + size, deleted);
	spin_unlock(&dcache_lock);
	return p;
}
