/* SPDX-License-Identifier: MIT */
/*
 * What the files of fs/ share among themselves: the dentry cache, the path
 * walk, descriptors without a reference, generic page-cache input and output,
 * notification, and the checks that several calls need.
 */
#ifndef LX_FS_INTERNAL_H
#define LX_FS_INTERNAL_H

#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>

#include <asm/poll.h>
#include <asm/resource.h>
#include "fs.h"
#include "syscall.h"
#include "tty.h"

/*
 * Read sections.  A task in one may look at dentries, inodes and mounts
 * without a reference; what is freed meanwhile goes through grace_free() and
 * stays readable until every section that was open has been left.  A section
 * never blocks and takes no lock but fs_context's (the kernel is not preempted,
 * so it is short); grace_free() is never called in a section nor with a spinlock held.
 */
struct read_section {
	uint64_t n;			/* odd: inside */
	uint64_t pad[7];
};
extern struct read_section read_sections[MAX_CPUS];

static inline void
read_begin(void)
{
	struct read_section *s = &read_sections[current->cpu];

	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELAXED);
	/* Orders the mark before the loads inside; partner: grace_wait. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void
read_end(void)
{
	struct read_section *s = &read_sections[current->cpu];

	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELEASE);
}

void grace_free(void *, struct kcache *cache);	/* cache NULL: kfree */
void grace_flush(void);				/* free what waits now */

/* Dentries (dcache.c). */
enum {
	DF_HASHED = 1,
	DF_LRU = 2,		/* on the list of unused ones, or was used since */
	DF_MOUNTPOINT = 4,	/* ->mounted is not NULL */
	DF_NOCACHE = 8,		/* never hashed: every lookup asks the file system */
	DF_ANON = 16,		/* no parent and no place in the tree (memfd) */
	DF_RAW = 64,		/* DF_ANON, and its name is the whole text: "pipe:[7]" */
	DF_PINNED = 32,		/* the file system holds a reference: the tree is its only store */
};
enum { DREF_DEAD = -(1 << 30) };

extern spinlock_t dcache_lock;		/* rank 50: every change of the dentry tree, hash and LRU */
extern uint32_t rename_seq;		/* odd: names or mounts are changing */

static inline uint32_t rename_seq_begin(void) { return __atomic_load_n(&rename_seq, __ATOMIC_ACQUIRE); }
static inline bool
rename_seq_same(uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (seq & 1) == 0 && __atomic_load_n(&rename_seq, __ATOMIC_RELAXED) == seq;
}
void rename_seq_write(int delta);	/* +1 before, +1 after; dcache_lock held */

void dcache_init(void);
struct dentry *dentry_alloc(struct dentry *parent, const char *name, unsigned len, uint32_t hash);
struct dentry *dentry_alloc_anon(struct super *, const char *name);
bool dentry_try_get(struct dentry *);		/* in a read section; false: dying */
struct dentry *dentry_find(struct dentry *parent, const char *name, unsigned len, uint32_t hash);	/* read section, no reference */
void dentry_hash(struct dentry *);		/* becomes visible to lookups */
void dentry_pin(struct dentry *);
void dentry_delete(struct dentry *);		/* the name is gone: negative if nobody else uses it, else unhashed */
void dentry_prune_negatives(struct dentry *dir);	/* before a directory's name is deleted */
void dentry_move(struct dentry *, struct dentry *target);	/* rename: takes the place of target */
void dentry_exchange(struct dentry *, struct dentry *);
bool dentry_is_ancestor(struct dentry *ancestor, struct dentry *);
void dentry_kill_super(struct super *);		/* umount: drop pins and unused ones */
uint64_t dentry_count(void);
uint64_t dentry_unused(void);

static inline bool dentry_is_root(const struct dentry *d) { return d->parent == d; }
static inline bool dentry_unhashed(const struct dentry *d) { return (READ_ONCE(d->flags) & DF_HASHED) == 0; }
/* A positive dentry whose name was removed. */
static inline bool
dentry_unlinked(const struct dentry *d)
{
	return dentry_unhashed(d) && !dentry_is_root(d) && (d->flags & DF_NOCACHE) == 0;
}

/* Hash of a component; names end at len. */
uint32_t name_hash(const char *name, unsigned len);
/* Hash and length of the component at s, which ends at '/' or NUL.  Reads up to
 * 7 bytes past the NUL, which must exist (PATH_PAD). */
enum { PATH_PAD = 8 };
uint32_t component_hash(const char *s, unsigned *len);

/* Inodes (inode.c). */
void inode_init_cache(void);
uint64_t inode_next_ino(void);
long inode_permission_cred(const struct cred *, struct inode *, unsigned mask);
bool inode_owner_or_capable(struct inode *);
void inode_touch_atime(struct file *);
void inode_touch_modified(struct inode *);	/* mtime and ctime now; inode->lock held or harmless */
bool inode_drop_suid(struct inode *);		/* a write by somebody without CAP_FSETID */
static inline bool capable(unsigned cap) { return (current->cred->cap_effective >> cap & 1) != 0; }
bool in_group(const struct cred *, uint32_t gid);
uint64_t inode_count(void);

/* Search permission without asking further: all three x bits. */
static inline bool
dir_searchable_by_all(const struct inode *i)
{
	return (i->mode & 0111) == 0111 && i->ops->permission == NULL;
}

static inline bool is_type(const struct inode *i, uint32_t type) { return (i->mode & S_IFMT) == type; }

/* Mounts (mount.c). */
enum { MNT_FORCE_ = 1, MNT_DETACH_ = 2, MNT_EXPIRE_ = 4, UMOUNT_NOFOLLOW_ = 8 };
extern struct mount *root_mount;
extern struct mutex mount_mutex;	/* rank 10 */
struct mount *mount_at(struct mount *parent, struct dentry *point);	/* read section or mount_mutex; NULL */
bool mount_try_get(struct mount *);
void mount_get(struct mount *);
void mount_put(struct mount *);
long mount_want_write(const struct mount *);	/* -EROFS */
bool mount_visible_here(const struct dentry *);	/* is something mounted on it anywhere */
void super_put(struct super *);
struct mount *mount_kernel(struct super *);	/* not in the tree: for pseudo files */
void mount_init(void);
struct mount *mount_nth(unsigned n);		/* for procfs; a reference */
void super_options_text(const struct super *, char *buf, size_t size);	/* ",sync,…" and the file system's own */
void mount_options_text(const struct mount *, char *buf, size_t size, bool with_super);
const char *fs_type_nth(unsigned n, unsigned *flags);

/* Path walk (namei.c). */
enum {
	WALK_NO_MAGICLINKS = 128,
	WALK_EMPTY = 256,	/* AT_EMPTY_PATH */
	WALK_CREATE = 512,	/* with WALK_PARENT: a trailing slash is for the caller to judge */
};
enum last_type { LAST_NORMAL, LAST_DOT, LAST_DOTDOT, LAST_ROOT };
struct last {
	enum last_type type;
	const char *name;
	unsigned len;
	uint32_t hash;
	bool slash;		/* followed by slashes */
};
/* A path name in the kernel: `text` has PATH_PAD readable bytes after its NUL. */
struct pathname {
	const char *text;
	char *page;		/* allocated, or NULL */
	char small[192 + PATH_PAD];
};
long pathname_get(struct pathname *, uaddr_t user);	/* -EFAULT, -ENAMETOOLONG, -ENOENT (empty) */
long pathname_get_empty(struct pathname *, uaddr_t user);	/* an empty one is fine */
long pathname_kernel(struct pathname *, const char *text);
void pathname_put(struct pathname *);
char *path_page_get(void);	/* PATH_MAX_ + PATH_PAD bytes */
void path_page_put(char *);

long walk_path(int dirfd, const struct path *base, const char *text, unsigned flags, struct path *out, struct last *last);
/* In a read section: the path without references, if no lock was needed.  1: use walk_path. */
long walk_peek(int dirfd, const char *text, unsigned flags, struct path *out, uint32_t *seq);
struct dentry *lookup_child(struct dentry *dir, const struct last *);		/* reference; ERR_PTR */
struct dentry *lookup_child_locked(struct dentry *dir, const struct last *);	/* dir inode locked */
struct dentry *lookup_name_locked(struct dentry *dir, const char *name);	/* the same for a name of the kernel's */
struct file *open_path_walk(int dirfd, const char *text, unsigned flags, uint32_t mode, unsigned walk);

/* Descriptors (fdtable.c). */
struct fdref fdref_get_any(int fd);
long files_max(void);
struct file *files_nth(struct files *, unsigned from, unsigned *fd);	/* next open one, with a reference */
bool files_cloexec(struct files *, unsigned fd);
uint64_t file_count(void);
struct files *files_of(struct task *);	/* with a reference, or NULL */
struct fs_context *fs_context_of(struct task *);
long file_link_path(struct file *, struct path *);	/* what /proc/<pid>/fd/N leads to */
size_t file_link_text(struct file *, char *buf, size_t size);	/* and what it reads as */
extern const struct file_ops path_only_ops, fifo_ops, pipe_ops;
long fd_dup_from(struct file *, uint64_t from, bool cloexec);
long fd_set_cloexec(unsigned fd, bool on);

/* Regular files of the page cache (pagecache.c). */
/* The page at index, ready to be read, with a reference; NULL: a hole; ERR_PTR.  May block. */
struct page *pagecache_page(struct mapping *, uint64_t index);
ssize_t pagecache_read(struct file *, struct uio *, loff_t *);
ssize_t pagecache_write(struct file *, struct uio *, loff_t *);
loff_t generic_seek(struct file *, loff_t, int whence, uint64_t end);
loff_t pagecache_seek(struct file *, loff_t, int whence);
long pagecache_truncate(struct inode *, uint64_t size);	/* inode->lock held */
long inode_truncate(struct path *, struct file *, uint64_t size);
ssize_t write_checks(struct file *, loff_t pos, size_t *count);	/* RLIMIT_FSIZE, MAX: -EFBIG */
ssize_t file_do_read(struct file *, struct uio *, loff_t *pos);
ssize_t file_do_write(struct file *, struct uio *, loff_t *pos);
enum { MAX_RW_COUNT = 0x7ffff000 };

/* Change of attributes with permission checks (attr.c). */
long attr_change(const struct path *, struct iattr *);

/* tmpfs.c */
extern struct fs_type tmpfs_type, ramfs_type;
struct super *tmpfs_super(struct fs_type *, uint64_t magic, uint32_t root_mode, uint64_t max_pages);
struct inode *tmpfs_inode(struct super *, struct inode *dir, uint32_t mode, uint64_t rdev);
bool tmpfs_is(const struct inode *);
void tmpfs_init(void);
long tmpfs_adopt(struct inode *, const void *data, size_t size);	/* cpio: fill without a copy where possible */

/* Locks (locks.c). */
void locks_close(struct file *, struct files *);	/* close(2) by a table: its POSIX locks go */
void locks_release(struct file *);		/* last reference: flock and OFD */
long locks_fcntl(struct file *, unsigned cmd, uaddr_t arg, int fd);

/* Pipes (pipe.c). */
long pipe_fcntl(struct file *, unsigned cmd, uint64_t arg);
bool file_is_pipe(const struct file *);
void pipe_init(void);
ssize_t pipe_splice_in(struct file *pipe, struct file *in, loff_t *pos, size_t len, unsigned flags);
ssize_t pipe_splice_out(struct file *pipe, struct file *out, loff_t *pos, size_t len, unsigned flags);
ssize_t pipe_splice_pipe(struct file *in, struct file *out, size_t len, unsigned flags, bool keep);

/* epoll.c */
void epoll_file_release(struct file *);
void epoll_init(void);
bool file_is_epoll(const struct file *);
void epoll_fdinfo(struct file *, struct seq *);

/* inotify.c */
extern uint32_t notify_active;		/* number of watches */
void notify_slow(const struct path *, struct dentry *, struct inode *, uint32_t mask);
void notify_name_slow(struct inode *dir, const char *name, uint32_t mask, uint32_t cookie);
void notify_unlinked(struct inode *);
void notify_inode_gone(struct inode *);
void notify_super_gone(struct super *);
void inotify_init(void);
uint32_t notify_cookie(void);
/* Something happened to the file at the dentry: its watches and its parent's. */
static inline void
notify_dentry(struct dentry *d, uint32_t mask)
{
	if (unlikely(READ_ONCE(notify_active) != 0) && d != NULL)
		notify_slow(NULL, d, d->inode, mask);
}
static inline void
notify_file(struct file *f, uint32_t mask)
{
	if (unlikely(READ_ONCE(notify_active) != 0) && f->path.dentry != NULL)
		notify_slow(NULL, f->path.dentry, f->inode, mask);
}
/* Something happened to a name in a directory. */
static inline void
notify_name(struct inode *dir, const char *name, uint32_t mask, uint32_t cookie)
{
	if (unlikely(READ_ONCE(notify_active) != 0))
		notify_name_slow(dir, name, mask, cookie);
}

/* seq.c */
struct seq {
	char *buf;
	size_t len, size;
	bool full;		/* no memory: the text is cut */
};
void seq_free(struct seq *);
void seq_char(struct seq *, char);
void seq_escape(struct seq *, const char *);	/* mount table: space, tab, newline, backslash as octal */

/* procfs: a directory and its files (procfs.c), processes (procfs_pid.c), the system (procfs_sys.c). */
enum { PROC_TEXT_RW = 1 };
struct proc_node;
struct proc_text {			/* what an inode of a generated file has in private_ */
	long (*show)(struct seq *, void *);
	long (*store)(const char *, size_t, void *);
	void *arg;
};
extern const struct file_ops proc_text_ops;
extern struct super *proc_super;
struct inode *proc_inode(uint32_t mode, uint64_t ino, const struct inode_ops *, const struct file_ops *, void *private_);
long proc_pid_lookup(struct dentry *, const char *name);	/* /proc/<pid> */
bool proc_pid_emit(struct dir_context *, loff_t first);
void procfs_sys_init(void);
void chrdev_print(struct seq *);
int proc_number(const char *);		/* of a name, or -1 */
static inline long proc_text_show(const struct proc_text *t, struct seq *s) { return t->show(s, t->arg); }

/* Parts that fs_init starts. */
void procfs_init(void);
void sysfs_init(void);
void devtmpfs_init(void);
void memdev_init(void);
void disk_init(void);
void file_init(void);
void poll_init(void);
const struct file_ops *chrdev_find(uint64_t rdev);
const struct blkdev_driver *blkdev_driver(void);	/* its functions are NULL before there is one */

static inline bool fd_flags_ok(uint64_t flags, uint64_t allowed) { return (flags & ~allowed) == 0; }

#endif
