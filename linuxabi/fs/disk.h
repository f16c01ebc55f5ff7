/* SPDX-License-Identifier: MIT */
/*
 * File systems on disks, as a client of proto/fs.h: what disk_client.c (requests
 * and answers), disk_names.c (inodes and names), disk_dir.c (listings), disk_pages.c (page cache) and
 * disk_flush.c (write-back) share.
 *
 * Order of locks: inode->lock (20), node->flush (25), mm->lock (30),
 * mapping->lock (50), disk->lock (55), client->lock (78, irq).
 */
#ifndef LX_FS_DISK_H
#define LX_FS_DISK_H

#include <proto/fs.h>
#include "internal.h"
#include "io.h"

enum {
	DISK_SPARE_SLOTS = 8,		/* only recovery may take the last ones */
	DISK_FAULT_SLOTS = 2,		/* and these only what a page fault needs: write-back may wait for its mm->lock */
	DISK_NAMES = 3,			/* parts of a request's page */
	DISK_RUN = 256,			/* pages of one FS_READ or FS_WRITE, at most */
};

struct disk_client;

/*
 * One request.  Taken by disk_call_begin, filled through ->request, sent, and
 * given back by disk_call_end, after which ->page and ->answer mean nothing.
 */
enum call_state { CALL_FREE, CALL_FILLING, CALL_WAITING /* to be sent */, CALL_SENT, CALL_DONE };
struct disk_call {
	struct disk_client *client;
	struct fs_request *request;	/* in the channel */
	uint8_t *page;			/* in the channel: names before, what was asked for after */
	struct fs_answer answer;	/* a copy */
	uint32_t state;			/* enum call_state; client->lock */
	bool recovery;			/* belongs to disk_recover */
	uint32_t epoch;			/* of a recovery call */
	struct waitq wait;
	/* Runs in an interrupt when the answer is there, and ends the call; NULL: somebody waits. */
	void (*done)(struct disk_call *);
	/* The names, in the memory of who waits, for a new server. */
	struct { const void *bytes; size_t size; } part[DISK_NAMES];
	unsigned parts;
	/* Of reads and writes: the pages, each with a reference. */
	struct page **pages;
	unsigned page_count;
	struct mapping *mapping;
};

struct disk_client {
	int number;			/* of the channel */
	unsigned window;
	struct fs_channel *channel;
	spinlock_t lock;		/* rank 78, irq: rings, calls, epoch, sequence */
	struct waitq slots_wait;	/* a slot is free, recovery has ended */
	struct waitq news;		/* bell: state, epoch or commit may have changed */
	unsigned slots_free;
	uint64_t sequence;
	uint32_t epoch;			/* of the server that we talk to */
	bool mounted, recovering;
	bool dead;			/* the mount is lost: everything is EIO */
	struct blk_dev *dev;		/* what its server was given of a disk, or NULL */
	bool unmounting;		/* FS_UNMOUNT is sent: a server that knows no mount has done it */
	struct disk_call call[FS_SLOTS];
	struct disk *disk;		/* what is mounted */
	void (*recover)(struct disk_client *);	/* holds, reservations, unstable writes again */
};

/* disk_client.c */
struct disk_client *disk_client_create(int channel);		/* NULL: no memory, no such protocol */
struct disk_call *disk_call_begin(struct disk_client *, enum fs_op);	/* waits for a slot */
struct disk_call *disk_call_try(struct disk_client *, enum fs_op);	/* NULL: no slot now */
struct disk_call *disk_call_recovery(struct disk_client *, enum fs_op);
void disk_call_part(struct disk_call *, const void *, size_t);	/* append to the page; bytes stay until the end */
void disk_call_name(struct disk_call *, const char *);		/* with its NUL */
long disk_call_finish(struct disk_call *);	/* send, wait: answer.result */
void disk_call_start(struct disk_call *);	/* send; ->done, or disk_call_wait */
long disk_call_wait(struct disk_call *);
void disk_call_end(struct disk_call *);
void disk_call_detach(struct disk_call *);	/* done: nobody wants the answer */
long disk_simple(struct disk_client *, enum fs_op, uint32_t flags);
void disk_client_recover_if_new(struct disk_client *);		/* the watcher's duty */
void disk_client_drain(struct disk_client *);			/* wait until nothing is on its way */
bool disk_client_new_epoch(struct disk_client *);
uint64_t disk_client_used_up(struct disk_client *);
void disk_client_unanswered_mtime(struct disk_client *, struct fs_request *);
uint64_t disk_client_first_unanswered(struct disk_client *);	/* its sequence; 0: none */
/* Waits until the server can mount; 0, -ETIMEDOUT, -ENXIO (failed). */
long disk_client_ready(struct disk_client *, uint64_t deadline_ns);
static inline uint64_t disk_committed(const struct disk_client *c) { return c->channel->committed; }

/* ---- inodes and super blocks ---- */

enum { DISK_HASH = 4096 };

/* disk_options.c: mount options. */
struct disk_options {
	uint32_t commit;		/* seconds; 0: the server's default */
	uint32_t shown;			/* that were given, in its own bits */
};
/* Those of `text` (NULL: none) over what is there; -EINVAL, and a line in the log, if one is not known or not
 * possible here: then *o is of no use. */
long disk_options_parse(struct disk_options *o, const char *text);
uint32_t disk_options_flags(const struct disk_options *);	/* FS_MOUNT_* */
void disk_options_text(const struct disk_options *, char *to, size_t size);	/* ",discard,commit=30" */

struct disk {			/* one mounted file system */
	struct disk_client *client;
	struct disk_options options;
	struct super *sb;
	spinlock_t lock;		/* rank 55: hash, dirty lists and counts, reservations */
	struct list hash[DISK_HASH];	/* inode->hash by number */
	struct list held;		/* node->on_held: nodes that keep their inode, by held_number */
	uint64_t held_count;		/* nodes that were ever held: the last one's held_number */
	uint64_t dirty_pages, writing_pages;
	uint64_t pool;			/* blocks of FS_RESERVE that no page has yet */
	uint64_t promised;		/* and of those that dirty pages have, and writes on their way */
	unsigned page_blocks;		/* blocks of a page */
	struct waitq flusher_wait, throttle_wait;
	bool flush_now, commit_now, stopping, stopped, leaving, watcher_stopped;
};

struct disk_node {
	struct mapping mapping;
	struct inode *inode;
	uint32_t number, generation;
	struct fs_attributes server;	/* what the server has */
	bool losing;			/* a name of it is being removed: it may have none any more */
	bool stale;			/* directory: the server changed what we cannot know */
	struct mutex flush;		/* rank 25: one write-back at a time, none while the size changes */
	/* disk->lock */
	struct list dirty;		/* pages, by page->lru */
	uint64_t dirty_count;
	struct list on_held;
	bool held;			/* the list has a reference on the inode */
	uint64_t held_number;		/* since when, counted */
	uint64_t dirty_since;		/* ns; 0: not dirty */
	uint32_t promised_pages;	/* room set aside for pages that have no block yet: atomic */
	/* Writes of ours that were answered, counted, and how many of them are surely stable: those in place
	 * have no transaction that tells.  Atomic. */
	uint64_t written, synced;
	uint64_t last_transaction;	/* that changed it: atomic */
	uint32_t error;			/* errno of the last lost write; error_seq counts them */
	uint64_t error_seq;
	/* read-ahead: what the reader takes next, and up to where we read */
	uint64_t ahead_next, ahead_end;
	unsigned ahead_pages;
	/* directory; inode->lock */
	struct disk_dir *dir;		/* what is kept of its listing, or NULL */
	bool dir_too_large;		/* to be kept */
	char *link;			/* target of a symbolic link, with PATH_PAD bytes behind it */
};

static inline struct disk *disk_of(const struct super *sb) { return sb->private_; }
static inline struct disk_node *disk_node(const struct inode *i) { return i->private_; }
static inline struct disk_node *mapping_node(struct mapping *m) { return container_of(m, struct disk_node, mapping); }

extern struct fs_type disk_type;
void disk_init(void);
/* Is /dev/<node> the partition with this GUID?  Who makes the nodes knows. */
bool disk_is_root_partition(const char *node, const uint8_t guid[16]);
/* The file system of the root partition is in use from now on, and no more: nobody else gets its device alone,
 * and st_dev is the device's. */
void disk_mounted(const uint8_t guid[16], struct super *);
void disk_unmounted(const uint8_t guid[16], struct super *);
/*
 * A device, by its number, for the file server that a channel leads to (its ->peer): claimed for the holder,
 * and all that this server can reach, until it is given back.  -ENXIO, -EBUSY, -EACCES (read only).
 */
struct blk_dev;
long disk_dev_take(uint64_t rdev, void *holder, const char *server, bool write, struct blk_dev **);
void disk_dev_give(struct blk_dev *, void *holder, const char *server);
const char *disk_dev_name(const struct blk_dev *);
bool disk_dev_gone(const struct blk_dev *);	/* its disk was taken away: the number may be another one's */
bool disk_dev_has_guid(uint64_t rdev, const uint8_t guid[16]);
void disk_request_now(struct fs_request *);	/* the client's clock */
void disk_name_inode(struct fs_request *, const struct disk_node *);
/* What the server has, from an answer.  Its size is changed apart, with node->flush held, since
 * answers may be overtaken by others. */
void disk_node_update(struct disk_node *, const struct fs_answer *);
void disk_node_changed(struct disk_node *, uint64_t transaction);
long disk_push_attributes(struct inode *);	/* mode and times that only we know; 0 or -errno */
/* Any inode of the file system at or after bucket *at, with a reference: for sync and recovery. */
struct inode *disk_inode_next(struct disk *, unsigned *bucket, struct inode *after);

/*
 * disk_dir.c: directories; inode->lock held.  Cookies are those of answers; 0: none
 * was said.  What a name leads to comes along where the listing shows it.
 */
struct dentry;
long disk_iterate(struct file *, struct dir_context *);
void disk_dir_new(struct inode *);		/* just made: it is empty (its lock need not be held) */
void disk_dir_made(struct inode *dir, const struct dentry *, const struct inode *, uint64_t cookie);
void disk_dir_gone(struct inode *dir, const struct dentry *, uint64_t cookie);
void disk_dir_replaced(struct inode *dir, const struct dentry *, const struct inode *, uint64_t cookie);	/* the name leads to that now */
bool disk_dir_lacks(struct inode *dir, const struct dentry *);	/* the name is surely not there */
void disk_dir_forget(struct disk_node *);	/* anything may have changed, or nobody uses it any more */
uint64_t disk_dirs_memory(void);		/* bytes that are kept of all directories */
void disk_dir_init(void);

/* disk_pages.c */
extern const struct mapping_ops disk_mapping_ops;
extern const struct file_ops disk_file_ops;
void disk_pages_init(void);
long disk_set_size(struct inode *, uint64_t size);	/* inode->lock held; the server is told */
void disk_page_unreserve(struct disk_node *, struct page *);	/* what was set aside for it is free, if anything was */
/* st_blocks: what the server has, and what it will have when all is written. */
void disk_node_blocks(struct disk_node *);
long disk_ioctl(struct file *, unsigned cmd, uint64_t arg);

/* disk_flush.c */
bool disk_page_dirty(struct disk_node *, struct page *);	/* false: it is not in the tree any more */
bool disk_make_room(struct disk *);		/* the disk is full: have freed blocks become free; false: no hope */
long disk_flush_node(struct disk_node *);	/* write what is dirty, wait; errors are the node's */
long disk_flush_locked(struct disk_node *);	/* node->flush held */
long disk_sync(struct super *);
void disk_settle(struct disk *);		/* let go of inodes that are clean and stable */
void disk_throttle(struct disk *);		/* too much is dirty: wait */
long disk_fsync(struct file *, bool datasync);
long disk_write_range(struct file *, uint64_t from, uint64_t to, bool write, bool wait);
long disk_error_seen(struct file *);		/* errseq: an error once for each descriptor */
void disk_error(struct disk_node *, long error);
void disk_hold(struct disk_node *);
bool disk_flusher_start(struct disk *);
void disk_flusher_stop(struct disk *);
void disk_watcher_stop(struct disk *);
void disk_recover(struct disk_client *);
void disk_pass(struct disk *, bool all);	/* one round of the flusher */
void disk_last_user(struct inode *);

#endif
