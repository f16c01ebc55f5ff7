/* SPDX-License-Identifier: MIT */
/*
 * Virtual file system: super blocks, inodes, dentries, mounts, open files,
 * descriptor tables.  Owner: linuxabi/fs.  Lock ranks: sync.h.
 */
#ifndef LX_FS_H
#define LX_FS_H

#include <asm/fcntl.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/stat.h>
#include "kernel.h"
#include "mm.h"
#include "task.h"
#include "uaccess.h"

struct dentry;
struct inode;
struct file;
struct super;
struct mount;
struct pipe;
struct poll_table;
struct path;
struct dir_context;
struct seq;

enum { NAME_MAX_ = 255, PATH_MAX_ = 4096, SYMLINKS_MAX = 40, LINK_MAX_ = 65000 };

struct kstat {
	uint64_t ino, dev, rdev, size, blocks;	/* blocks of 512 */
	uint32_t mode, nlink, uid, gid, blksize;
	struct __kernel_timespec atime, mtime, ctime, btime;
};

/* setattr: what is to change. */
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32 };
struct iattr {
	unsigned valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct __kernel_timespec atime, mtime;
};

/* Name operations run with the directory's inode->lock held (rename: both). */
struct inode_ops {
	/* Fills dentry->inode (may leave it NULL: negative).  0 or -errno. */
	long (*lookup)(struct inode *dir, struct dentry *);
	long (*create)(struct inode *dir, struct dentry *, uint32_t mode);
	long (*mkdir)(struct inode *dir, struct dentry *, uint32_t mode);
	long (*mknod)(struct inode *dir, struct dentry *, uint32_t mode, uint64_t dev);
	long (*symlink)(struct inode *dir, struct dentry *, const char *target);
	long (*link)(struct inode *dir, struct dentry *, struct inode *);
	long (*unlink)(struct inode *dir, struct dentry *);
	long (*rmdir)(struct inode *dir, struct dentry *);
	long (*rename)(struct inode *odir, struct dentry *o, struct inode *ndir, struct dentry *n, unsigned flags);
	/* Target of a symbolic link into buf (NUL-terminated); length or -errno. */
	ssize_t (*readlink)(struct inode *, struct dentry *, char *buf, size_t size);
	/* For /proc/<pid>/{exe,cwd,root,fd/N}: jump to a path instead; NULL op: ordinary link. */
	long (*follow)(struct inode *, struct path *out);
	long (*setattr)(struct inode *, const struct iattr *);
	long (*getattr)(struct inode *, struct kstat *);	/* NULL: from the inode's fields */
	long (*permission)(struct inode *, unsigned mask);	/* NULL: mode bits */
	void (*evict)(struct inode *);		/* last reference, nlink 0 or cache drop */
	/* A reference is about to be put, and only one beside it is left, on an inode without names. */
	void (*last_user)(struct inode *);
	ssize_t (*getxattr)(struct inode *, const char *name, void *, size_t);
	long (*setxattr)(struct inode *, const char *name, const void *, size_t, int flags);
	ssize_t (*listxattr)(struct inode *, char *, size_t);
	long (*removexattr)(struct inode *, const char *name);
	/* O_TMPFILE: an inode without a name, instantiated in the (never hashed) dentry. */
	long (*tmpfile)(struct inode *dir, struct dentry *, uint32_t mode);
};

struct file_ops {
	long (*open)(struct inode *, struct file *);	/* may change file->ops and file->private_ */
	void (*release)(struct file *);			/* last reference */
	long (*flush)(struct file *);			/* each close(2) */
	ssize_t (*read)(struct file *, struct uio *, loff_t *pos);
	ssize_t (*write)(struct file *, struct uio *, loff_t *pos);
	loff_t (*seek)(struct file *, loff_t, int whence);	/* NULL: ESPIPE */
	/* Ready events (POLLIN …); with pt, registers on the queues first. */
	unsigned (*poll)(struct file *, struct poll_table *pt);
	long (*ioctl)(struct file *, unsigned cmd, uint64_t arg);	/* -ENOTTY if unknown */
	long (*mmap)(struct file *, struct vma *);	/* NULL: from inode->mapping, or ENODEV */
	long (*iterate)(struct file *, struct dir_context *);
	long (*fsync)(struct file *, bool datasync);
	long (*fallocate)(struct file *, int mode, loff_t off, loff_t len);
	/* sync_file_range: bytes [from, to) to the disk, but not what its cache has; `wait`: and told of errors.
	 * NULL: nothing is kept back. */
	long (*write_range)(struct file *, uint64_t from, uint64_t to, bool write, bool wait);
	/* posix_fadvise's advice about bytes [from, to); NULL: nothing comes of it.  mm->lock may be held. */
	void (*advise)(struct file *, uint64_t from, uint64_t to, int advice);
};

struct inode {
	refcount_t refs;
	struct mutex lock;		/* rank 20 */
	struct super *sb;
	uint64_t ino;
	uint32_t mode, uid, gid;
	uint32_t nlink;
	uint64_t rdev;
	uint64_t size;
	uint64_t blocks;
	struct __kernel_timespec atime, mtime, ctime, btime;
	const struct inode_ops *ops;
	const struct file_ops *fops;	/* for open */
	struct mapping *mapping;	/* page cache, or NULL */
	struct list hash;		/* the file system's */
	struct list locks;		/* flock, POSIX and OFD locks */
	void *private_;
	int32_t writers;		/* open for writing; < 0: being executed (ETXTBSY) */
	const char *link;		/* target of a symbolic link that lives as long as the inode, with 8
					 * readable bytes after its NUL; or NULL: ask readlink */
	void *notify;			/* inotify's watches on it, or NULL */
	uint32_t seals;			/* F_SEAL_*; memfd only */
	struct pipe *fifo;		/* of a FIFO that is open somewhere */
};

/*
 * Dentry: a name in a directory.  Hashed by (parent, name); negative when inode
 * is NULL.  The root of a file system is its own parent.
 */
struct dentry {
	refcount_t refs;
	uint32_t flags;
	spinlock_t lock;		/* rank 50: inode, flags */
	struct dentry *parent;
	struct inode *inode;
	struct super *sb;
	struct dentry *hash_next, **hash_prev;
	struct list children, sibling;	/* sibling: in the parent's children (positive) or negatives */
	struct list negatives;
	struct list lru;
	uint32_t hash;
	uint32_t len;
	char *name;			/* NUL-terminated; inline_name if it fits */
	char inline_name[40];
	struct mount *mounted;		/* top mount here, or NULL */
	void *private_;
};

struct super_ops {
	long (*statfs)(struct super *, struct statfs *);
	long (*sync)(struct super *);
	void (*umount)(struct super *);
	/* New MS_RDONLY … and options (as of a mount; NULL: as they are); NULL: any will do. */
	long (*remount)(struct super *, unsigned long flags, const char *data);
	/* Its own options as /proc/mounts has them, each with a comma before it; NULL: none. */
	void (*show_options)(struct super *, char *to, size_t size);
	void (*quiesce)(struct super *);	/* no mount is left; dentries and open files go next */
	void (*shutdown)(struct super *);	/* power goes off with everything open */
};
struct fs_type {
	const char *name;
	unsigned flags;			/* FS_NODEV: "nodev" in /proc/filesystems */
	/* Makes *sb with sb->root set.  data: kernel copy of the option string, may be NULL. */
	long (*mount)(struct fs_type *, const char *source, unsigned long flags, const char *data, struct super **sb);
	struct list node;
};
enum { FS_NODEV = 1 };
void fs_register(struct fs_type *);
struct super {
	refcount_t refs;
	struct fs_type *type;
	uint64_t dev;
	char device[32];		/* name of the block device with that number; empty: none */
	uint64_t magic;
	unsigned long flags;		/* MS_RDONLY … */
	struct dentry *root;
	const struct super_ops *ops;
	void *private_;
};
struct super *super_alloc(struct fs_type *, uint64_t magic);
struct mount {
	refcount_t refs;
	struct super *sb;
	struct dentry *root;		/* what is mounted */
	struct dentry *point;		/* where; in `parent` */
	struct mount *parent;
	struct mount *below;		/* mounted at the same point before */
	struct mount *next_at;		/* next in point->mounted (several parents with bind mounts) */
	bool detached;
	struct list all;
	int id;
	unsigned long flags;		/* MS_NOEXEC, MS_NOSUID, MS_NODEV, MS_RDONLY */
	char source[64];
};
struct path {
	struct mount *mnt;
	struct dentry *dentry;
};
void path_get(struct path *);
void path_put(struct path *);

/* Open file description. */
struct file {
	refcount_t refs;
	uint32_t flags;			/* O_* as F_GETFL shows them */
	const struct file_ops *ops;
	struct path path;		/* dentry NULL for anonymous files (pipes, eventfd …: see inode) */
	struct inode *inode;
	struct mutex pos_lock;		/* rank 15: f_pos of files shared between tasks */
	loff_t pos;
	void *private_;
	struct list epoll_items;	/* epoll's, under its own lock */
	struct { int owner, sig; } async;
	const char *anon_name;		/* of a file without a path: "pipe", "[eventfd]"; static */
	bool readable, writable;
	uint8_t access;			/* FADV_NORMAL, FADV_RANDOM, FADV_SEQUENTIAL */
};
struct file *file_alloc(const struct file_ops *, struct inode *, unsigned flags);	/* refs = 1 */
struct file *file_anon(const char *name, const struct file_ops *, void *private_, unsigned flags);
void file_get(struct file *);
void file_put(struct file *);

/* Descriptor tables.  files->lock (rank 50). */
struct files {
	refcount_t refs;
	spinlock_t lock;
	struct file **table;
	uint64_t *cloexec, *used;	/* bitmaps */
	unsigned size, next;
};
struct files *files_create(void);
struct files *files_copy(struct files *);	/* fork */
void files_put(struct files *);
void files_exec(struct files *);		/* close close-on-exec ones */
struct file *fd_get(int fd);			/* of current, with a reference; NULL: EBADF */
struct file *fd_get_task(struct task *, int fd);
int fd_install(struct file *, unsigned min_fd, bool cloexec);	/* takes the reference; fd or -EMFILE (then the reference stays with the caller) */
long fd_close(int fd);
/* A descriptor's file for the length of a call: with a reference only if the table is shared. */
struct fdref {
	struct file *file;
	bool put;
};
struct fdref fdref_get_shared(int fd);
static inline struct fdref		/* ->file NULL: EBADF; O_PATH is EBADF, too */
fdref_get(int fd)
{
	const struct files *fs = current->files;
	struct file *f;

	if (unlikely(ref_read(&fs->refs) != 1))
		return fdref_get_shared(fd);
	f = (unsigned)fd < fs->size ? fs->table[fd] : NULL;
	if (f != NULL && unlikely((f->flags & O_PATH) != 0))
		f = NULL;
	return (struct fdref){ f, false };
}
void fdref_put_slow(struct file *);
static inline void fdref_put(struct fdref r) { if (r.put) fdref_put_slow(r.file); }

/* Root, working directory, umask. */
struct fs_context {
	refcount_t refs;
	spinlock_t lock;
	struct path root, cwd;
	uint32_t umask;
};
struct fs_context *fs_context_copy(struct fs_context *);
void fs_context_put(struct fs_context *);

/* Path walk.  Flags are AT_* plus these. */
enum {
	WALK_FOLLOW = 1,	/* follow a symbolic link at the end */
	WALK_PARENT = 2,	/* stop at the parent; `last` gets the last component */
	WALK_DIRECTORY = 4,	/* the result must be a directory */
	WALK_NO_SYMLINKS = 8, WALK_BENEATH = 16, WALK_NO_XDEV = 32, WALK_IN_ROOT = 64,
};
long path_walk(int dirfd, const char *name, unsigned walk, struct path *out);
long path_walk_user(int dirfd, uaddr_t name, unsigned walk, struct path *out);	/* AT_EMPTY_PATH handled by callers */
struct file *file_open(int dirfd, const char *name, unsigned flags, uint32_t mode);	/* ERR_PTR */
struct file *file_open_path(const struct path *, unsigned flags);
/* Text of a path from the caller's root into buf's end; pointer into buf or ERR_PTR(-ENAMETOOLONG).
 * Unlinked: " (deleted)" appended when `deleted`. */
char *path_text(const struct path *, char *buf, size_t size, bool deleted);
/* A new special file (S_IFSOCK) with the caller's umask and rights; its path, referenced. */
long path_mknod(const char *name, uint32_t mode, struct path *out);

/* For exec and others in the kernel. */
ssize_t file_pread(struct file *, void *buf, size_t, loff_t);
ssize_t file_write_kernel(struct file *, const void *, size_t);
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
long inode_permission(struct inode *, unsigned mask);
long inode_deny_write(struct inode *);		/* exec: -ETXTBSY */
void inode_allow_write(struct inode *);
struct inode *inode_alloc(struct super *, uint32_t mode);	/* generic fields set, refs = 1 */
void inode_get(struct inode *);
void inode_put(struct inode *);
void inode_stat(struct inode *, struct kstat *);
struct __kernel_timespec inode_now(void);

/* Directory listing: emit returns false when the buffer is full. */
struct dir_context {
	loff_t pos;
	bool (*emit)(struct dir_context *, const char *name, size_t len, uint64_t ino, unsigned dt_type);
};
/* "." and "..", at positions 0 and 1 of a directory that has a parent; false: the buffer is full. */
bool dir_emit_dots(struct file *, struct dir_context *);

/* Dentries, for file systems. */
struct dentry *dentry_root(struct super *, struct inode *);
void dentry_instantiate(struct dentry *, struct inode *);	/* takes the inode reference */
void dentry_get(struct dentry *);
void dentry_put(struct dentry *);
void dentry_drop(struct dentry *);		/* unhash: next lookup asks the file system */

/* posix_fadvise(2); UINT64_MAX bytes: to the end. */
enum { FADV_NORMAL, FADV_RANDOM, FADV_SEQUENTIAL, FADV_WILLNEED, FADV_DONTNEED, FADV_NOREUSE };
void file_advise(struct file *, uint64_t from, uint64_t bytes, int advice);

/* Character devices: looked up at open by rdev; minor_count from minor on. */
struct chrdev {
	unsigned major, minor, minor_count;
	const char *name;		/* devtmpfs node; "%u" is replaced by minor - first; NULL: none */
	uint32_t mode;
	const struct file_ops *fops;
	struct list node;
};
void chrdev_register(struct chrdev *);
/* Block devices are block/'s: how they are opened, what sync(2) does about them, their part of /proc/devices. */
struct blkdev_driver {
	const struct file_ops *fops;
	void (*sync)(void);
	void (*majors)(struct seq *);
};
void blkdev_register(const struct blkdev_driver *);
/* Names in /dev, with slashes where they lie deeper: directories on the way are made.  0, -EEXIST,
 * -ENOENT, -ENOMEM; -ENODEV before fs_init. */
long devtmpfs_create(const char *name, uint32_t mode, uint64_t rdev);
long devtmpfs_symlink(const char *name, const char *target);
long devtmpfs_remove(const char *name);		/* a directory too, if it is empty */
static inline uint64_t makedev_(unsigned major_, unsigned minor_)
{
	return ((uint64_t)(minor_ & 0xff)) | ((uint64_t)(major_ & 0xfff) << 8) | ((uint64_t)(minor_ & ~0xffu) << 12);
}

/* poll, select, epoll. */
struct poll_table {
	void (*queue)(struct poll_table *, struct file *, struct waitq *);	/* NULL: only look */
};
static inline void
poll_wait(struct poll_table *pt, struct file *f, struct waitq *q)
{
	if (pt != NULL && pt->queue != NULL)
		pt->queue(pt, f, q);
}

/* Unlinked file in memory that only descriptors and mappings know (memfd, MAP_SHARED | MAP_ANONYMOUS):
 * `name` as /proc/self/maps shows it, " (deleted)" is appended. */
struct file *shmem_file_create(const char *name, uint64_t size);	/* ERR_PTR */

/*
 * A file system whose whole tree is in memory and that the kernel fills:
 * devtmpfs, devpts.  Names are relative to its root, one component.
 */
struct super *memfs_create(struct fs_type *, uint64_t magic, uint32_t root_mode);
long memfs_mknod(struct super *, const char *name, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t rdev);
long memfs_remove(struct super *, const char *name);

/* File descriptors of O_PATH files are EBADF for fd_get; this one finds them, too. */
struct file *fd_get_any(int fd);

/* procfs entries from other parts: a file that is generated when it is opened. */
struct seq;
void seq_printf(struct seq *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void seq_write(struct seq *, const void *, size_t);
void procfs_register(const char *path, long (*show)(struct seq *, void *arg), void *arg);
/* A writable one: write gets the whole text, NUL-terminated. */
void procfs_register_rw(const char *path, long (*show)(struct seq *, void *), long (*store)(const char *, size_t, void *), void *arg);

void fs_init(void);		/* tables, tmpfs root */
void net_init(void);		/* net/: sockets; after fs_init */
long fs_mount(const char *place, const char *type);	/* by the kernel itself */
/* Put a file system in place of the root; before the first program. */
long fs_mount_root(const char *type, const char *source, unsigned long flags);
void fs_shutdown(void);		/* everything is on its disk, and clean: before power goes off */
long fs_unpack_cpio(const void *archive, size_t size);	/* into the root; "newc" */

#endif
