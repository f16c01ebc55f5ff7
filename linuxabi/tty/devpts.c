/* SPDX-License-Identifier: MIT */
/*
 * devpts: the names of pseudo-terminal slaves, /dev/pts/<number>, and
 * /dev/pts/ptmx.  One instance, mounted as often as wanted.
 *
 * A name exists from the open of its master to the master's close.  The dentry
 * that a lookup made is remembered, so that it can be taken out of the cache.
 */
#include "tty_internal.h"

enum { DEVPTS_MAGIC = 0x1cd1, INO_ROOT = 1, INO_PTMX = 2, INO_FIRST = 3, TTY_GID = 5 };

struct entry {
	struct inode *inode;
	struct dentry *dentry;		/* referenced, or NULL: nobody looked yet */
};

static struct entry entries[PTY_MAX];
static struct super *instance;
static struct inode *ptmx_inode;
static struct mutex devpts_lock = MUTEX_INIT(devpts_lock, 25);	/* entries */

static bool
parse_number(const char *s, unsigned *number)
{
	unsigned n = 0;

	if (*s == '\0' || (*s == '0' && s[1] != '\0') || strlen(s) > 4)
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (unsigned)(*s - '0');
	}
	*number = n;
	return n < PTY_MAX;
}

static long
devpts_lookup(struct inode *dir, struct dentry *d)
{
	unsigned number;
	long error = -ENOENT;

	(void)dir;
	if (strcmp(d->name, "ptmx") == 0) {
		inode_get(ptmx_inode);
		dentry_instantiate(d, ptmx_inode);
		return 0;
	}
	/* No negative dentries: the name may exist a moment later. */
	if (!parse_number(d->name, &number))
		return -ENOENT;
	mutex_lock(&devpts_lock);
	if (entries[number].inode != NULL) {
		inode_get(entries[number].inode);
		dentry_instantiate(d, entries[number].inode);
		if (entries[number].dentry != NULL)
			dentry_put(entries[number].dentry);
		dentry_get(d);
		entries[number].dentry = d;
		error = 0;
	}
	mutex_unlock(&devpts_lock);
	return error;
}

static bool
emit_number(struct dir_context *ctx, unsigned number)
{
	char name[8];
	int n = ksnprintf(name, sizeof(name), "%u", number);

	return ctx->emit(ctx, name, (size_t)n, INO_FIRST + number, 2 /* DT_CHR */);
}

/* Positions: 0 ".", 1 "..", 2 "ptmx", 3 + number. */
static long
devpts_iterate(struct file *f, struct dir_context *ctx)
{
	(void)f;
	if (ctx->pos == 0) {
		if (!ctx->emit(ctx, ".", 1, INO_ROOT, 4))
			return 0;
		ctx->pos++;
	}
	if (ctx->pos == 1) {
		if (!ctx->emit(ctx, "..", 2, INO_ROOT, 4))
			return 0;
		ctx->pos++;
	}
	if (ctx->pos == 2) {
		if (!ctx->emit(ctx, "ptmx", 4, INO_PTMX, 2))
			return 0;
		ctx->pos++;
	}
	for (; ctx->pos < 3 + PTY_MAX; ctx->pos++) {
		unsigned number = (unsigned)ctx->pos - 3;

		if (entries[number].inode != NULL && !emit_number(ctx, number))
			return 0;
	}
	return 0;
}

static loff_t
devpts_seek(struct file *f, loff_t offset, int whence)
{
	loff_t pos = whence == 1 ? f->pos + offset : offset;

	if (whence > 1 || pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

static const struct inode_ops dir_ops = { .lookup = devpts_lookup };
static const struct file_ops dir_fops = { .iterate = devpts_iterate, .seek = devpts_seek };
static const struct inode_ops node_ops;

static struct inode *
node_create(uint64_t ino, uint32_t mode, uint64_t rdev)
{
	struct inode *i = inode_alloc(instance, mode);

	if (i == NULL)
		return NULL;
	i->ino = ino;
	i->rdev = rdev;
	i->nlink = 1;
	i->ops = &node_ops;
	return i;
}

long
devpts_add(unsigned number, struct tty *t)
{
	struct inode *i;

	if (instance == NULL)
		return -ENODEV;
	i = node_create(INO_FIRST + number, S_IFCHR | 0620, t->rdev);
	if (i == NULL)
		return -ENOMEM;
	i->uid = current->cred->fsuid;
	i->gid = TTY_GID;
	mutex_lock(&devpts_lock);
	entries[number].inode = i;
	mutex_unlock(&devpts_lock);
	return 0;
}

void
devpts_remove(unsigned number)
{
	struct entry e;

	mutex_lock(&devpts_lock);
	e = entries[number];
	entries[number] = (struct entry){ 0 };
	mutex_unlock(&devpts_lock);
	if (e.dentry != NULL) {
		dentry_drop(e.dentry);
		dentry_put(e.dentry);
	}
	if (e.inode != NULL) {
		e.inode->nlink = 0;
		inode_put(e.inode);
	}
}

static long
devpts_statfs(struct super *sb, struct statfs *st)
{
	memset(st, 0, sizeof(*st));
	st->f_type = (__typeof__(st->f_type))sb->magic;
	st->f_bsize = PAGE_SIZE;
	st->f_namelen = NAME_MAX_;
	return 0;
}

static const struct super_ops devpts_super_ops = { .statfs = devpts_statfs };

static long
devpts_mount(struct fs_type *type, const char *source, unsigned long flags, const char *data, struct super **sb)
{
	(void)type;
	(void)source;
	(void)flags;
	(void)data;
	ref_get(&instance->refs);
	*sb = instance;
	return 0;
}

static struct fs_type devpts_type = { .name = "devpts", .flags = FS_NODEV, .mount = devpts_mount };

void
devpts_init(void)
{
	struct inode *root;

	instance = kzalloc(sizeof(*instance));
	if (instance == NULL)
		panic("devpts: no memory");
	ref_init(&instance->refs, 1);
	instance->type = &devpts_type;
	instance->magic = DEVPTS_MAGIC;
	instance->dev = makedev_(0, 9);
	instance->ops = &devpts_super_ops;
	root = node_create(INO_ROOT, S_IFDIR | 0755, 0);
	ptmx_inode = node_create(INO_PTMX, S_IFCHR | 0666, makedev_(5, 2));
	if (root == NULL || ptmx_inode == NULL)
		panic("devpts: no memory");
	root->nlink = 2;
	root->ops = &dir_ops;
	root->fops = &dir_fops;
	instance->root = dentry_root(instance, root);
	if (instance->root == NULL)
		panic("devpts: no memory");
	fs_register(&devpts_type);
}
