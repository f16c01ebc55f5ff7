/* SPDX-License-Identifier: MIT */
/*
 * File system types, super blocks, the tree of mounts, and the calls that
 * change it: mount, umount2, pivot_root.  mount_mutex serialises changes;
 * readers find mounts in read sections.  A change of the tree counts as a
 * rename (rename_seq) and is made under dcache_lock, too, so that path_text
 * sees one state.
 */
#include "internal.h"

struct mutex mount_mutex = MUTEX_INIT(mount_mutex, 10);
struct mount *root_mount;

static struct list types = LIST_INIT(types);
static struct list mounts = LIST_INIT(mounts);
static spinlock_t mounts_lock = SPINLOCK_INIT(50);	/* the two lists */
static int next_id = 20;
static uint64_t next_dev = 1;
static unsigned mount_total;

enum { MOUNT_LIMIT = 10000 };
/* Flags of a mount, the rest belongs to the super block. */
#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | \
	MS_STRICTATIME | MS_RDONLY | MS_NOSYMFOLLOW)
#define SUPER_FLAGS (MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_LAZYTIME)

/* ---- types and super blocks ---- */

void
fs_register(struct fs_type *t)
{
	spin_lock(&mounts_lock);
	list_add_tail(&types, &t->node);
	spin_unlock(&mounts_lock);
}

static struct fs_type *
type_find(const char *name)
{
	struct fs_type *t, *found = NULL;

	spin_lock(&mounts_lock);
	list_for_each(t, &types, node)
		if (strcmp(t->name, name) == 0)
			found = t;
	spin_unlock(&mounts_lock);
	return found;
}

const char *
fs_type_nth(unsigned n, unsigned *flags)
{
	struct fs_type *t;
	const char *name = NULL;

	spin_lock(&mounts_lock);
	list_for_each(t, &types, node)
		if (n-- == 0) {
			name = t->name;
			*flags = t->flags;
			break;
		}
	spin_unlock(&mounts_lock);
	return name;
}

struct super *
super_alloc(struct fs_type *type, uint64_t magic)
{
	static const struct super_ops no_ops;
	struct super *sb = kzalloc(sizeof(*sb));

	if (sb == NULL)
		return NULL;
	ref_init(&sb->refs, 1);
	sb->type = type;
	sb->magic = magic;
	sb->dev = makedev_(0, (unsigned)__atomic_fetch_add(&next_dev, 1, __ATOMIC_RELAXED));
	sb->ops = &no_ops;
	return sb;
}

void
super_put(struct super *sb)
{
	if (__atomic_sub_fetch(&sb->refs.n, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	notify_super_gone(sb);
	if (sb->ops->quiesce != NULL)
		sb->ops->quiesce(sb);
	if (sb->root != NULL)
		dentry_kill_super(sb);
	grace_flush();		/* inodes of it that wait point at it */
	if (sb->ops->umount != NULL)
		sb->ops->umount(sb);
	grace_free(sb, NULL);
}

/* ---- mounts ---- */

bool
mount_try_get(struct mount *m)
{
	int32_t n = __atomic_load_n(&m->refs.n, __ATOMIC_RELAXED);

	do {
		if (n <= 0)
			return false;
	} while (!__atomic_compare_exchange_n(&m->refs.n, &n, n + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

void
mount_get(struct mount *m)
{
	__atomic_fetch_add(&m->refs.n, 1, __ATOMIC_RELAXED);
}

void
mount_put(struct mount *m)
{
	struct super *sb;

	if (__atomic_sub_fetch(&m->refs.n, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	sb = m->sb;
	dentry_put(m->root);
	grace_free(m, NULL);
	super_put(sb);
}

/* Takes the references on sb and root. */
static struct mount *
mount_new(struct super *sb, struct dentry *root, const char *source)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	ref_init(&m->refs, 1);
	m->sb = sb;
	m->root = root;
	list_init(&m->all);
	strlcpy(m->source, source != NULL ? source : "none", sizeof(m->source));
	m->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
	return m;
}

struct mount *
mount_kernel(struct super *sb)
{
	dentry_get(sb->root);
	return mount_new(sb, sb->root, sb->type->name);
}

struct mount *
mount_at(struct mount *parent, struct dentry *point)
{
	struct mount *m = __atomic_load_n(&point->mounted, __ATOMIC_ACQUIRE);

	while (m != NULL && m->parent != parent)
		m = __atomic_load_n(&m->next_at, __ATOMIC_ACQUIRE);
	return m;
}

bool
mount_visible_here(const struct dentry *d)
{
	return (READ_ONCE(d->flags) & DF_MOUNTPOINT) != 0;
}

/* Into the tree.  Takes the reference on m; parent and point get theirs. */
static void
mount_attach(struct mount *m, struct mount *parent, struct dentry *point)
{
	mount_get(parent);
	dentry_get(point);
	spin_lock(&dcache_lock);
	rename_seq_write(1);
	m->parent = parent;
	m->point = point;
	m->next_at = point->mounted;
	__atomic_store_n(&point->mounted, m, __ATOMIC_RELEASE);
	point->flags |= DF_MOUNTPOINT;
	rename_seq_write(1);
	spin_unlock(&dcache_lock);
	spin_lock(&mounts_lock);
	if (list_empty(&m->all)) {
		list_add_tail(&mounts, &m->all);
		mount_total++;
	}
	spin_unlock(&mounts_lock);
}

/* Out of its place; the references on parent and point go to the caller. */
static void
mount_detach_point(struct mount *m, struct mount **parent, struct dentry **point)
{
	struct mount **p;

	spin_lock(&dcache_lock);
	rename_seq_write(1);
	*parent = m->parent;
	*point = m->point;
	for (p = &m->point->mounted; *p != NULL; p = &(*p)->next_at)
		if (*p == m) {
			__atomic_store_n(p, m->next_at, __ATOMIC_RELEASE);
			break;
		}
	if (m->point->mounted == NULL)
		m->point->flags &= ~(uint32_t)DF_MOUNTPOINT;
	m->parent = NULL;
	m->point = NULL;
	rename_seq_write(1);
	spin_unlock(&dcache_lock);
}

static void
mount_unlist(struct mount *m)
{
	spin_lock(&mounts_lock);
	if (!list_empty(&m->all)) {
		list_del(&m->all);
		mount_total--;
	}
	m->detached = true;
	spin_unlock(&mounts_lock);
}

/* mount_mutex held. */
static struct mount *
mount_child(struct mount *parent)
{
	struct mount *m, *found = NULL;

	spin_lock(&mounts_lock);
	list_for_each(m, &mounts, all)
		if (m->parent == parent) {
			found = m;
			break;
		}
	spin_unlock(&mounts_lock);
	return found;
}

static void
mount_remove(struct mount *m)
{
	struct mount *parent;
	struct dentry *point;

	mount_detach_point(m, &parent, &point);
	mount_unlist(m);
	dentry_put(point);
	mount_put(parent);
	mount_put(m);
}

struct mount *
mount_nth(unsigned n)
{
	struct mount *m, *found = NULL;

	spin_lock(&mounts_lock);
	list_for_each(m, &mounts, all)
		if (n-- == 0) {
			if (mount_try_get(m))
				found = m;
			break;
		}
	spin_unlock(&mounts_lock);
	return found;
}

long
mount_want_write(const struct mount *m)
{
	return m != NULL && ((m->flags | m->sb->flags) & MS_RDONLY) != 0 ? -EROFS : 0;
}

void
super_options_text(const struct super *sb, char *buf, size_t size)
{
	static const struct { unsigned long flag; const char *text; } names[] = {
		{ MS_SYNCHRONOUS, ",sync" }, { MS_DIRSYNC, ",dirsync" }, { MS_MANDLOCK, ",mand" }, { MS_LAZYTIME, ",lazytime" },
	};
	size_t n = 0;

	if (size != 0)
		*buf = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if ((sb->flags & names[i].flag) != 0 && n < size)
			n += strlcpy(buf + n, names[i].text, size - n);
	if (sb->ops->show_options != NULL && n < size)
		sb->ops->show_options((struct super *)sb, buf + n, size - n);
}

void
mount_options_text(const struct mount *m, char *buf, size_t size, bool with_super)
{
	static const struct { unsigned long flag; const char *text; } names[] = {
		{ MS_NOSUID, ",nosuid" }, { MS_NODEV, ",nodev" }, { MS_NOEXEC, ",noexec" },
		{ MS_NOATIME, ",noatime" }, { MS_NODIRATIME, ",nodiratime" }, { MS_RELATIME, ",relatime" },
		{ MS_NOSYMFOLLOW, ",nosymfollow" },
	};
	unsigned long ro = m->flags | (with_super ? m->sb->flags : 0);
	size_t n = strlcpy(buf, ro & MS_RDONLY ? "ro" : "rw", size);

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if ((m->flags & names[i].flag) != 0 && n < size)
			n += strlcpy(buf + n, names[i].text, size - n);
	if (with_super && n < size)
		super_options_text(m->sb, buf + n, size - n);
}

/* ---- mount(2) ---- */

static unsigned long
mount_flags_from(unsigned long flags)
{
	unsigned long f = flags & MOUNT_FLAGS;

	if ((f & (MS_NOATIME | MS_STRICTATIME)) == 0)
		f |= MS_RELATIME;
	if (f & (MS_NOATIME | MS_STRICTATIME))
		f &= ~(unsigned long)MS_RELATIME;
	return f;
}

static long
mount_check_place(const struct path *at, const struct dentry *root)
{
	bool place_dir = is_type(at->dentry->inode, S_IFDIR);
	bool root_dir = is_type(root->inode, S_IFDIR);

	if (place_dir != root_dir)
		return -ENOTDIR;
	if (dentry_unlinked(at->dentry) || at->mnt->detached)
		return -ENOENT;
	return mount_total >= MOUNT_LIMIT ? -ENOSPC : 0;
}

static long
mount_bind(const struct path *at, const char *source, bool recursive)
{
	struct path from;
	struct mount *m;
	long r = path_walk(AT_FDCWD, source, WALK_FOLLOW, &from);

	(void)recursive;	/* submounts are not copied: each can be bound itself */
	if (r < 0)
		return r;
	mutex_lock(&mount_mutex);
	r = mount_check_place(at, from.dentry);
	if (r == 0) {
		__atomic_fetch_add(&from.mnt->sb->refs.n, 1, __ATOMIC_RELAXED);
		dentry_get(from.dentry);
		m = mount_new(from.mnt->sb, from.dentry, from.mnt->source);
		if (m != NULL) {
			m->flags = from.mnt->flags;
			mount_attach(m, at->mnt, at->dentry);
		} else {
			dentry_put(from.dentry);
			super_put(from.mnt->sb);
			r = -ENOMEM;
		}
	}
	mutex_unlock(&mount_mutex);
	path_put(&from);
	return r;
}

static long
mount_move(const struct path *at, const char *source)
{
	struct path from;
	struct mount *parent, *p;
	struct dentry *point;
	long r = path_walk(AT_FDCWD, source, WALK_FOLLOW, &from);

	if (r < 0)
		return r;
	mutex_lock(&mount_mutex);
	r = -EINVAL;
	if (from.dentry != from.mnt->root || from.mnt->parent == NULL)
		goto out;
	r = mount_check_place(at, from.dentry);
	if (r < 0)
		goto out;
	r = -ELOOP;
	for (p = at->mnt; p != NULL; p = p->parent)
		if (p == from.mnt)
			goto out;
	mount_detach_point(from.mnt, &parent, &point);
	mount_attach(from.mnt, at->mnt, at->dentry);
	dentry_put(point);
	mount_put(parent);
	r = 0;
out:
	mutex_unlock(&mount_mutex);
	path_put(&from);
	return r;
}

/* mount(2): a remount that says nothing about access times leaves them as they are. */
static unsigned long
remount_flags(const struct mount *m, unsigned long flags)
{
	const unsigned long atime = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;

	if ((flags & atime) == 0)
		flags |= m->flags & atime;
	return mount_flags_from(flags & MS_BIND ? flags : flags & ~(unsigned long)MS_RDONLY);
}

static long
mount_remount(const struct path *at, unsigned long flags, const char *data)
{
	long r = -EINVAL;

	mutex_lock(&mount_mutex);
	if (at->dentry == at->mnt->root) {
		struct super *sb = at->mnt->sb;

		r = (flags & MS_BIND) == 0 && sb->ops->remount != NULL ? sb->ops->remount(sb, flags, data) : 0;
		if (r == 0) {
			at->mnt->flags = remount_flags(at->mnt, flags);
			if ((flags & MS_BIND) == 0)
				sb->flags = (sb->flags & ~SUPER_FLAGS) | (flags & SUPER_FLAGS);
		}
	}
	mutex_unlock(&mount_mutex);
	return r;
}

static long
mount_fresh(const struct path *at, const char *type, const char *source, unsigned long flags, const char *data)
{
	struct fs_type *t;
	struct super *sb = NULL;
	struct mount *m;
	long r;

	if (type == NULL)
		return -EINVAL;
	t = type_find(type);
	if (t == NULL || t->mount == NULL)
		return -ENODEV;
	r = t->mount(t, source, flags, data, &sb);
	if (r < 0)
		return r;
	sb->flags |= flags & SUPER_FLAGS;
	dentry_get(sb->root);
	m = mount_new(sb, sb->root, source);
	if (m == NULL) {
		dentry_put(sb->root);
		super_put(sb);
		return -ENOMEM;
	}
	m->flags = mount_flags_from(flags & ~(unsigned long)MS_RDONLY);
	mutex_lock(&mount_mutex);
	r = mount_check_place(at, sb->root);
	if (r == 0 && at->dentry == at->mnt->root && at->mnt->sb == sb)
		r = -EBUSY;	/* the same file system twice at one place */
	if (r == 0)
		mount_attach(m, at->mnt, at->dentry);
	mutex_unlock(&mount_mutex);
	if (r < 0)
		mount_put(m);
	return r;
}

/* A string argument of mount: a page at most; NULL stays NULL. */
static long
mount_string(uaddr_t user, char **out)
{
	long r;

	*out = NULL;
	if (user == 0)
		return 0;
	*out = path_page_get();
	if (*out == NULL)
		return -ENOMEM;
	r = strncpy_from_user(*out, user, PATH_MAX_);
	if (r >= 0)
		return 0;
	path_page_put(*out);
	*out = NULL;
	return r == -ENAMETOOLONG ? -EINVAL : r;
}

static long
mount_dispatch(const struct path *at, const char *source, const char *type, unsigned long flags, const char *data)
{
	if (flags & MS_REMOUNT)
		return mount_remount(at, flags, data);
	if (flags & MS_BIND)
		return source == NULL ? -EINVAL : mount_bind(at, source, (flags & MS_REC) != 0);
	if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		return at->dentry == at->mnt->root ? 0 : -EINVAL;	/* one name space: nothing propagates */
	if (flags & MS_MOVE)
		return source == NULL ? -EINVAL : mount_move(at, source);
	return mount_fresh(at, type, source, flags, data);
}

long
sys_mount(uint64_t source, uint64_t target, uint64_t type, uint64_t flags, uint64_t data)
{
	char *src = NULL, *fstype = NULL, *opts = NULL;
	struct path at;
	long r;

	if ((flags & 0xffff0000) == 0xc0ed0000)		/* MS_MGC_VAL, ignored since 2.4 */
		flags &= 0xffff;
	r = mount_string(type, &fstype);
	if (r == 0)
		r = mount_string(source, &src);
	if (r == 0)
		r = mount_string(data, &opts);
	if (r == 0)
		r = path_walk_user(AT_FDCWD, target, WALK_FOLLOW, &at);
	if (r == 0) {
		r = capable(CAP_SYS_ADMIN) ? mount_dispatch(&at, src, fstype, flags, opts) : -EPERM;
		path_put(&at);
	}
	if (opts != NULL)
		path_page_put(opts);
	if (src != NULL)
		path_page_put(src);
	if (fstype != NULL)
		path_page_put(fstype);
	return r;
}

long
fs_mount(const char *place, const char *type)
{
	struct path at;
	long r = path_walk(AT_FDCWD, place, WALK_FOLLOW, &at);

	if (r != 0)
		return r;
	r = mount_fresh(&at, type, type, 0, NULL);
	path_put(&at);
	return r;
}

void
fs_shutdown(void)
{
	struct mount *m;

	sys_sync();
	for (unsigned n = 0; (m = mount_nth(n)) != NULL; n++) {
		if (m->sb->ops->shutdown != NULL)
			m->sb->ops->shutdown(m->sb);
		mount_put(m);
	}
}

/* ---- umount ---- */

/* References that the tree itself holds: one for being attached, one for each child. */
static bool
mount_busy(struct mount *m, int32_t expected)
{
	return mount_child(m) != NULL || ref_read(&m->refs) > expected;
}

static void
umount_tree(struct mount *m)
{
	struct mount *child;

	while ((child = mount_child(m)) != NULL)
		umount_tree(child);
	mount_remove(m);
}

long
sys_umount2(uint64_t target, uint64_t flags)
{
	struct path at;
	struct mount *m;
	long r;

	if ((flags & ~(uint64_t)(MNT_FORCE_ | MNT_DETACH_ | MNT_EXPIRE_ | UMOUNT_NOFOLLOW_)) != 0)
		return -EINVAL;
	r = path_walk_user(AT_FDCWD, target, (flags & UMOUNT_NOFOLLOW_) ? 0 : WALK_FOLLOW, &at);
	if (r < 0)
		return r;
	m = at.mnt;
	r = -EINVAL;
	if (at.dentry != m->root)
		goto out;
	r = -EPERM;
	if (!capable(CAP_SYS_ADMIN))
		goto out;
	mutex_lock(&mount_mutex);
	if (m->parent == NULL)
		r = m == root_mount ? -EBUSY : -EINVAL;
	else if (flags & MNT_EXPIRE_)
		r = (flags & (MNT_FORCE_ | MNT_DETACH_)) ? -EINVAL : -EAGAIN;
	else if ((flags & MNT_DETACH_) == 0 && mount_busy(m, 2))
		r = -EBUSY;
	else
		r = 0;
	if (r == 0)
		umount_tree(m);
	mutex_unlock(&mount_mutex);
out:
	path_put(&at);
	return r;
}

/* ---- pivot_root, chroot of everybody ---- */

static void
context_replace(struct fs_context *fs, const struct path *old, const struct path *to)
{
	struct path drop[2] = { { NULL, NULL }, { NULL, NULL } };

	spin_lock(&fs->lock);
	if (fs->root.mnt == old->mnt && fs->root.dentry == old->dentry) {
		drop[0] = fs->root;
		fs->root = *to;
		path_get(&fs->root);
	}
	if (fs->cwd.mnt == old->mnt && fs->cwd.dentry == old->dentry) {
		drop[1] = fs->cwd;
		fs->cwd = *to;
		path_get(&fs->cwd);
	}
	spin_unlock(&fs->lock);
	path_put(&drop[0]);
	path_put(&drop[1]);
}

static void
contexts_replace(const struct path *old, const struct path *to)
{
	struct process *p;
	struct task *t;
	struct fs_context *batch[64];
	unsigned n;

	/* In rounds: a round takes contexts that still hold the old root. */
	do {
		n = 0;
		uint64_t flags = spin_lock_irqsave(&tasklist_lock);

		read_begin();		/* one that its last task leaves just now stays until then */
		list_for_each(p, &process_list, all)
			list_for_each(t, &p->threads, thread_node) {
				struct fs_context *fs = READ_ONCE(t->fs);

				if (fs == NULL || n == ARRAY_LEN(batch))
					continue;
				if ((fs->root.mnt != old->mnt || fs->root.dentry != old->dentry) &&
				    (fs->cwd.mnt != old->mnt || fs->cwd.dentry != old->dentry))
					continue;
				if (ref_get_unless_zero(&fs->refs))
					batch[n++] = fs;
			}
		read_end();
		spin_unlock_irqrestore(&tasklist_lock, flags);
		for (unsigned i = 0; i < n; i++) {
			context_replace(batch[i], old, to);
			fs_context_put(batch[i]);
		}
	} while (n == ARRAY_LEN(batch));
}

static bool
mount_below(struct mount *m, struct mount *top)
{
	for (; m != NULL; m = m->parent)
		if (m == top)
			return true;
	return false;
}

long
sys_pivot_root(uint64_t new_user, uint64_t old_user)
{
	struct path new, old, root;
	struct mount *new_parent, *old_parent = NULL;
	struct dentry *new_point, *old_point = NULL;
	long r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	r = path_walk_user(AT_FDCWD, new_user, WALK_FOLLOW | WALK_DIRECTORY, &new);
	if (r < 0)
		return r;
	r = path_walk_user(AT_FDCWD, old_user, WALK_FOLLOW | WALK_DIRECTORY, &old);
	if (r < 0) {
		path_put(&new);
		return r;
	}
	spin_lock(&current->fs->lock);
	root = current->fs->root;
	path_get(&root);
	spin_unlock(&current->fs->lock);

	mutex_lock(&mount_mutex);
	r = -EBUSY;
	if (new.mnt == root.mnt || old.mnt == root.mnt)
		goto out;
	r = -EINVAL;
	if (root.dentry != root.mnt->root || new.dentry != new.mnt->root || new.mnt->parent == NULL)
		goto out;
	if (!mount_below(old.mnt, new.mnt) || !mount_below(new.mnt, root.mnt))
		goto out;
	if (root.mnt->parent == NULL && root.mnt != root_mount)
		goto out;
	mount_detach_point(new.mnt, &new_parent, &new_point);
	if (root.mnt->parent != NULL) {
		mount_detach_point(root.mnt, &old_parent, &old_point);
		mount_attach(new.mnt, old_parent, old_point);
		dentry_put(old_point);
		mount_put(old_parent);
	} else {
		root_mount = new.mnt;
	}
	mount_attach(root.mnt, old.mnt, old.dentry);
	dentry_put(new_point);
	mount_put(new_parent);
	contexts_replace(&root, &new);
	r = 0;
out:
	mutex_unlock(&mount_mutex);
	path_put(&root);
	path_put(&old);
	path_put(&new);
	return r;
}

/* ---- start ---- */

/* Nobody runs yet but we: whoever starts gets our root. */
long
fs_mount_root(const char *type, const char *source, unsigned long flags)
{
	struct fs_type *t = type_find(type);
	struct super *sb = NULL;
	struct path was = { root_mount, root_mount->root }, now;
	struct mount *m;
	long r = t != NULL ? t->mount(t, source, flags, NULL, &sb) : -ENODEV;

	if (r < 0)
		return r;
	sb->flags |= flags & SUPER_FLAGS;
	dentry_get(sb->root);
	m = mount_new(sb, sb->root, source);
	if (m == NULL) {
		dentry_put(sb->root);
		super_put(sb);
		return -ENOMEM;
	}
	m->flags = mount_flags_from(flags & ~(unsigned long)MS_RDONLY);
	mutex_lock(&mount_mutex);
	spin_lock(&mounts_lock);
	list_add(&mounts, &m->all);
	list_del(&was.mnt->all);
	spin_unlock(&mounts_lock);
	root_mount = m;
	now = (struct path){ m, m->root };
	context_replace(current->fs, &was, &now);
	mutex_unlock(&mount_mutex);
	return 0;
}

void
mount_init(void)
{
	struct super *sb = tmpfs_super(&ramfs_type, RAMFS_MAGIC, 0755, 0);
	struct mount *m = sb != NULL ? mount_kernel(sb) : NULL;

	if (m == NULL)
		panic("no memory for the root file system");
	strlcpy(m->source, "rootfs", sizeof(m->source));
	m->flags = MS_RELATIME;
	root_mount = m;
	list_add_tail(&mounts, &m->all);
	mount_total = 1;
}
