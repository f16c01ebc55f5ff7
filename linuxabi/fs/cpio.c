/* SPDX-License-Identifier: MIT */
/*
 * Unpacks a cpio archive in the "newc" format (initramfs buffer format,
 * cpio(5)) into the root file system.  The archive comes from outside: every
 * length is checked against what is there, names cannot leave the root, and the
 * first thing that does not fit ends the work with -EINVAL; what was unpacked
 * before stays.
 */
#include "internal.h"

enum { HEADER = 110, NAME_LIMIT = 4096, LINKS_TABLE = 256 };

struct entry {
	uint32_t ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, name_len;
	const char *name;
	const char *data;
};

/* Inodes with several names, until the archive ends. */
struct hard_link {
	struct hard_link *next;
	uint32_t ino, major, minor;
	struct inode *inode;
};

struct unpack {
	const char *at, *end;
	struct hard_link *links[LINKS_TABLE];
	struct path root;
	unsigned files;
};

static bool
hex8(const char *s, uint32_t *out)
{
	uint32_t v = 0;

	for (int i = 0; i < 8; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	*out = v;
	return true;
}

/* Advances past n bytes, rounded up to the header's alignment of 4. */
static const char *
take(struct unpack *u, const char *start, size_t n)
{
	const char *p = u->at;
	size_t done = (size_t)(p - start) + n, pad = (4 - done % 4) % 4;

	if ((size_t)(u->end - p) < n)
		return NULL;
	u->at += n;
	u->at += min(pad, (size_t)(u->end - u->at));
	return p;
}

static long
entry_read(struct unpack *u, const char *start, struct entry *e)
{
	const char *h = u->at;
	uint32_t *fields[] = { &e->ino, &e->mode, &e->uid, &e->gid, &e->nlink, &e->mtime, &e->size,
	    &e->major, &e->minor, &e->rmajor, &e->rminor, &e->name_len };

	if (u->end - u->at < HEADER || (memcmp(h, "070701", 6) != 0 && memcmp(h, "070702", 6) != 0))
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
		if (!hex8(h + 6 + 8 * i, fields[i]))
			return -EINVAL;
	u->at += HEADER;
	if (e->name_len == 0 || e->name_len > NAME_LIMIT)
		return -EINVAL;
	e->name = take(u, start, e->name_len);
	if (e->name == NULL || e->name[e->name_len - 1] != '\0' || strlen(e->name) != e->name_len - 1)
		return -EINVAL;
	e->data = take(u, start, e->size);
	return e->data == NULL ? -EINVAL : 0;
}

/* ---- names ---- */

/* Cleans the name: no leading slashes or "./", and none that leads out. */
static const char *
name_clean(const char *s)
{
	const char *p;

	for (;;) {
		while (*s == '/')
			s++;
		if (s[0] == '.' && (s[1] == '/' || s[1] == '\0'))
			s++;
		else
			break;
	}
	for (p = s; *p != '\0'; ) {
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return NULL;
		while (*p != '\0' && *p != '/')
			p++;
		while (*p == '/')
			p++;
	}
	return s;
}

static long
make_parents(struct unpack *u, char *text)
{
	for (char *p = text; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		struct path dir;
		struct last l;
		struct dentry *d;
		long r;

		*p = '\0';
		r = walk_path(AT_FDCWD, &u->root, text, WALK_PARENT, &dir, &l);
		if (r < 0)
			return r;
		mutex_lock(&dir.dentry->inode->lock);
		d = lookup_child_locked(dir.dentry, &l);
		r = IS_ERR(d) ? PTR_ERR(d) : 0;
		if (r == 0 && d->inode == NULL)
			r = dir.dentry->inode->ops->mkdir(dir.dentry->inode, d, 0755);
		mutex_unlock(&dir.dentry->inode->lock);
		if (!IS_ERR(d))
			dentry_put(d);
		path_put(&dir);
		if (r < 0)
			return r;
	}
	return 0;
}

static long
walk_to_parent(struct unpack *u, char *text, struct path *dir, struct last *l)
{
	long r = walk_path(AT_FDCWD, &u->root, text, WALK_PARENT, dir, l);

	if (r != -ENOENT)
		return r;
	r = make_parents(u, text);
	return r < 0 ? r : walk_path(AT_FDCWD, &u->root, text, WALK_PARENT, dir, l);
}

/* ---- hard links ---- */

static struct hard_link **
link_slot(struct unpack *u, const struct entry *e)
{
	struct hard_link **p = &u->links[(e->ino ^ e->minor) % LINKS_TABLE];

	while (*p != NULL && ((*p)->ino != e->ino || (*p)->major != e->major || (*p)->minor != e->minor))
		p = &(*p)->next;
	return p;
}

static long
link_remember(struct unpack *u, const struct entry *e, struct inode *i)
{
	struct hard_link **p = link_slot(u, e);

	if (*p != NULL)
		return 0;
	*p = kzalloc(sizeof(**p));
	if (*p == NULL)
		return -ENOMEM;
	**p = (struct hard_link){ .ino = e->ino, .major = e->major, .minor = e->minor, .inode = i };
	inode_get(i);
	return 0;
}

static void
links_free(struct unpack *u)
{
	for (unsigned n = 0; n < LINKS_TABLE; n++)
		while (u->links[n] != NULL) {
			struct hard_link *l = u->links[n];

			u->links[n] = l->next;
			inode_put(l->inode);
			kfree(l);
		}
}

/* ---- entries ---- */

static long
fill_file(struct inode *i, const struct entry *e)
{
	for (uint64_t off = 0; off < e->size; off += PAGE_SIZE) {
		struct page *p = i->mapping->ops->get_page(i->mapping, off >> PAGE_SHIFT, true);

		if (IS_ERR(p))
			return PTR_ERR(p);
		memcpy(page_virt(p), e->data + off, min((uint64_t)PAGE_SIZE, e->size - off));
		page_put(p);
	}
	i->size = max(i->size, (uint64_t)e->size);
	return 0;
}

static long
make_node(struct inode *dir, struct dentry *d, const struct entry *e)
{
	uint32_t perm = e->mode & 07777;
	char *target;
	long r;

	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return dir->ops->create(dir, d, S_IFREG | perm);
	case S_IFDIR:
		return dir->ops->mkdir(dir, d, perm);
	case S_IFLNK:
		if (e->size == 0 || e->size >= PATH_MAX_)
			return -EINVAL;
		target = path_page_get();
		if (target == NULL)
			return -ENOMEM;
		memcpy(target, e->data, e->size);
		target[e->size] = '\0';
		r = strlen(target) == e->size ? dir->ops->symlink(dir, d, target) : -EINVAL;
		path_page_put(target);
		return r;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return dir->ops->mknod(dir, d, (e->mode & S_IFMT) | perm, makedev_(e->rmajor, e->rminor));
	default:
		return -EINVAL;
	}
}

static void
set_owner(struct inode *i, const struct entry *e)
{
	i->uid = e->uid;
	i->gid = e->gid;
	if (!is_type(i, S_IFLNK))
		i->mode = (i->mode & S_IFMT) | (e->mode & 07777);
	i->mtime = (struct __kernel_timespec){ .tv_sec = e->mtime };
	i->atime = i->mtime;
}

/* A name that is there already gives way, except a directory for a directory. */
static long
remove_old(struct inode *dir, struct dentry **d, struct dentry *parent, const struct last *l, const struct entry *e)
{
	struct inode *i = (*d)->inode;
	long r;

	if (i == NULL || (is_type(i, S_IFDIR) && is_type(&(struct inode){ .mode = e->mode }, S_IFDIR)))
		return 0;
	r = is_type(i, S_IFDIR) ? dir->ops->rmdir(dir, *d) : dir->ops->unlink(dir, *d);
	if (r < 0)
		return r;
	dentry_delete(*d);
	dentry_put(*d);
	*d = lookup_child_locked(parent, l);
	return IS_ERR(*d) ? PTR_ERR(*d) : 0;
}

static long
place(struct unpack *u, struct path *parent, const struct last *l, const struct entry *e)
{
	bool several = e->nlink > 1 && is_type(&(struct inode){ .mode = e->mode }, S_IFREG);
	struct hard_link *old = several ? *link_slot(u, e) : NULL;
	struct inode *dir = parent->dentry->inode;
	struct dentry *d = lookup_child_locked(parent->dentry, l);
	long r;

	if (IS_ERR(d))
		return PTR_ERR(d);
	r = remove_old(dir, &d, parent->dentry, l, e);
	if (r < 0)
		goto out;
	if (d->inode == NULL)
		r = old != NULL ? dir->ops->link(dir, d, old->inode) : make_node(dir, d, e);
	if (r < 0)
		goto out;
	set_owner(d->inode, e);
	/* With several names the data come with one of them, the last usually. */
	if (is_type(d->inode, S_IFREG) && e->size > 0)
		r = fill_file(d->inode, e);
	if (r == 0 && several)
		r = link_remember(u, e, d->inode);
	set_owner(d->inode, e);
out:
	if (!IS_ERR(d))
		dentry_put(d);
	return r;
}

static long
unpack_entry(struct unpack *u, const struct entry *e)
{
	const char *name = name_clean(e->name);
	struct path dir;
	struct last l;
	char *text;
	long r;

	if (name == NULL)
		return -EINVAL;
	if (*name == '\0') {		/* the root itself */
		if (is_type(&(struct inode){ .mode = e->mode }, S_IFDIR))
			set_owner(u->root.dentry->inode, e);
		return 0;
	}
	text = path_page_get();
	if (text == NULL)
		return -ENOMEM;
	strlcpy(text, name, PATH_MAX_);
	r = walk_to_parent(u, text, &dir, &l);
	if (r < 0)
		goto out;
	r = -EINVAL;
	if (l.type == LAST_NORMAL && is_type(dir.dentry->inode, S_IFDIR) && tmpfs_is(dir.dentry->inode)) {
		mutex_lock(&dir.dentry->inode->lock);
		r = place(u, &dir, &l, e);
		mutex_unlock(&dir.dentry->inode->lock);
		u->files++;
	}
	path_put(&dir);
out:
	path_page_put(text);
	return r;
}

/* Archives may follow each other, with zeros between them. */
static void
skip_zeros(struct unpack *u)
{
	while (u->at < u->end && *u->at == '\0')
		u->at++;
}

long
fs_unpack_cpio(const void *archive, size_t size)
{
	struct unpack *u = kzalloc(sizeof(*u));
	long r = 0;

	if (u == NULL)
		return -ENOMEM;
	u->at = archive;
	u->end = u->at + size;
	u->root = (struct path){ root_mount, root_mount->root };
	skip_zeros(u);
	while (u->at < u->end) {
		const char *start = u->at;
		struct entry e;

		r = entry_read(u, start, &e);
		if (r < 0)
			break;
		if (strcmp(e.name, "TRAILER!!!") == 0) {
			links_free(u);
			skip_zeros(u);
			continue;
		}
		r = unpack_entry(u, &e);
		if (r < 0) {
			klog(LOG_ERR, "root archive: %s: error %ld", e.name, -r);
			break;
		}
	}
	if (r < 0)
		klog(LOG_ERR, "root archive: damaged at byte %lu of %lu, %u entries unpacked",
		    (unsigned long)(u->at - (const char *)archive), (unsigned long)size, u->files);
	links_free(u);
	kfree(u);
	return r;
}
