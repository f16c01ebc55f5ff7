/* SPDX-License-Identifier: MIT */
/*
 * What the files of block/ share.
 *
 * A disk is a channel, for good.  A medium is what the disk had in it from one
 * moment to another: its size, its page cache and its devices (the whole disk, number
 * 0, and the partitions).  Open files hold a device, devices hold their medium: when
 * the medium goes both are `gone`, and no file ever reaches the next one.
 *
 * Locks, outer first (ranks: sync.h):
 *   13 disk->mutex		what the disk has in it, its devices, who has them open
 *   14 naming			no two disks take the same name
 *   28 medium->writeback	one pass of write-back at a time
 *   50 medium->mapping.lock	the tree, dirty pages' counts, generations
 *   50 devs_lock		lists of devices, disk->medium, device numbers, claims by GUID
 *   76 disk->lock (irq)	the channel, its requests, statistics
 */
#ifndef LX_BLOCK_INTERNAL_H
#define LX_BLOCK_INTERNAL_H

#include <tessera/block.h>

#include "../fs/internal.h"
#include "block.h"
#include "io.h"
#include "parts.h"
#include "probe.h"

enum {
	SECTOR = 512,
	FILL_PAGES = 128,		/* read at once */
	FLUSH_PAGES = 128,		/* written at once */
	DIRECT_PAGES = 128,		/* moved at once without the cache */
	AHEAD_SECTORS = 256,		/* default read-ahead */
	LINKS_MAX = 8,			/* names of a device below /dev/disk */
	GENERATIONS = 64, GENERATION_SHIFT = 7,	/* pages that share one */
};
_Static_assert(FILL_PAGES <= 1 << GENERATION_SHIFT, "what is read at once lies in two stretches");
#define FLUSH_NS	5000000000ULL	/* dirty data are no older than this */

struct blk_disk;
struct blk_medium;

/* ---- requests: queue.c ---- */

struct blk_op;

struct blk_request {
	struct block_io io;		/* the client library's */
	struct list node;		/* disk->waiting, or the operation's done */
	struct blk_op *op;
	uint64_t started_ns;
	uint32_t bytes;
	bool spare;
	struct block_segment segment[BLOCK_SEGMENTS];
};

/*
 * An operation: any number of requests in flight together, made page by page.
 * Whoever began it ends it, and holds its medium meanwhile.
 */
struct blk_op {
	struct blk_medium *medium;
	unsigned op, flags;		/* enum block_op; BLOCK_FUA */
	uint64_t limit;			/* bytes of one request */
	struct blk_request *open;	/* being made */
	uint64_t position;		/* where it goes on */
	unsigned in_flight;		/* disk->lock */
	struct list done;		/* disk->lock */
	struct waitq wait;
	long error;			/* the first */
	/* What failed, in bytes of the disk; may be NULL. */
	void (*failed)(void *arg, uint64_t position, uint64_t bytes, long error);
	void *arg;
};
void op_begin(struct blk_op *, struct blk_medium *, unsigned op, unsigned flags);
/* bytes (whole blocks) of a lent page, at a place on the disk. */
void op_page(struct blk_op *, uint64_t position, const struct page *, uint32_t bytes);
void op_range(struct blk_op *, uint64_t position, uint64_t bytes);	/* discard, zeroes */
/* BLOCK_BIND, once: from position on for whom the bounds name; they stay until op_end. */
void op_bind(struct blk_op *, uint64_t position, const struct block_bounds *);
long op_end(struct blk_op *);	/* waits for all; 0 or the first error */
long blk_flush(struct blk_medium *);	/* the device's own cache */

struct blk_stats {			/* disk->lock; index: read, write, discard */
	uint64_t ios[3], sectors[3], ns[3];
	uint64_t flushes, flush_ns;
	uint64_t busy_ns, busy_since;
	unsigned in_flight[2];
};

struct blk_medium;
/* A disk with the GUID of the one that the loader took, and another: boot_slot.c. */
bool boot_slot_is_copy(const struct blk_medium *);

/* ---- disks, media, devices: disk.c ---- */

struct blk_dev {
	refcount_t refs;
	struct blk_medium *medium;	/* referenced */
	struct list in_medium;		/* by number */
	unsigned number;		/* 0: the whole disk */
	uint64_t start, size;		/* bytes of the disk */
	uint64_t rdev;
	char name[24];
	bool gone;
	bool read_only;			/* BLKROSET, or the medium is */
	/* disk->mutex */
	unsigned openers, writers;
	void *holder;
	unsigned holds;			/* of the holder */
	unsigned parts_held;		/* whole disk: partitions that have one */
	char *link[LINKS_MAX];		/* made in /dev */
	bool reprobe;			/* somebody wrote: look at its superblock again */
	struct probe probe;
	uint8_t guid[16];		/* GPT */
	char uuid[37], label[PART_NAME];
	/* */
	uint64_t ahead_sectors;
	uint32_t errors;		/* write errors so far */
	bool error_new;			/* nobody was told about the last one */
	struct blk_stats stats;
};

struct blk_medium {
	refcount_t refs;
	struct blk_disk *disk;
	struct block_facts facts;	/* as they were when it was found */
	uint64_t size;			/* bytes */
	uint64_t sequence;		/* BLKGETDISKSEQ */
	bool gone;
	uint8_t disk_guid[16];
	enum part_kind table;
	struct list devs;		/* changes: disk->mutex, devs_lock and disk->lock */
	unsigned openers;		/* of all devices; disk->mutex */

	/* cache.c */
	struct inode *inode;		/* nobody's but the mapping's: its size */
	struct mapping mapping;
	uint32_t generation[GENERATIONS];	/* of stretches; count what makes contents read before stale */
	struct mutex writeback;
	uint64_t dirty;			/* pages; with the next four under mapping.lock */
	bool writing;			/* some are on their way, and count as clean */
	uint64_t dirty_first, dirty_last;
	uint64_t dirty_since_ns;
	bool flush_now;			/* memory is short */
};

struct blk_disk {
	unsigned channel, window;
	char name[24];			/* of its whole device */
	spinlock_t lock;
	struct block_client client;
	bool attached;
	struct list waiting;		/* requests that found all tags in use */
	struct blk_request spare;	/* for when there is no memory */
	bool spare_used;
	struct waitq spare_wait;
	uint32_t changes_seen;		/* client.changes, as the thread has looked at it */
	uint32_t changes_checked;	/* client.changes that `fits` is about */
	bool fits;			/* what the server says is about disk->medium */

	struct waitq thread_wait;
	bool thread_work, looked;

	struct mutex mutex;
	struct blk_medium *medium;	/* referenced, or NULL; changes: with devs_lock and lock, too */
	bool refused;			/* another channel has a disk of its name */
};
extern struct blk_disk blk_disks[WORLD_MAX_CHANNELS];
extern unsigned blk_disk_count;
extern spinlock_t devs_lock;

void blk_start(struct blk_disk *);	/* queue.c: attach the channel */
void blk_pump(struct blk_disk *);	/* take answers, send what waits */
/* From now on the disk's requests are about this medium (NULL: none); the reference is taken over. */
void blk_set_medium(struct blk_disk *, struct blk_medium *);
/* Do the facts speak of the medium that is in the disk already? */
bool facts_same_medium(const struct block_facts *a, const struct block_facts *b);
void blk_kick(struct blk_disk *);	/* any context: its thread looks at everything */

uint64_t blk_step(struct blk_disk *);		/* what its thread does: disk.c */

void medium_get(struct blk_medium *);
void medium_put(struct blk_medium *);
struct blk_medium *blk_disk_medium(struct blk_disk *);	/* with a reference, or NULL */
struct blk_dev *dev_find(uint64_t rdev);	/* with a reference, or NULL */
void dev_get(struct blk_dev *);
void dev_put(struct blk_dev *);
static inline struct blk_disk *dev_disk(const struct blk_dev *d) { return d->medium->disk; }
static inline struct blk_dev *
medium_whole(const struct blk_medium *m)
{
	return list_first(&m->devs, struct blk_dev, in_medium);
}
/* disk->mutex held. */
long dev_hold(struct blk_dev *, void *holder);	/* -EBUSY */
void dev_unhold(struct blk_dev *, void *holder);
long medium_rescan(struct blk_medium *);	/* -EBUSY: a partition is in use */
long part_add_dev(struct blk_medium *, unsigned number, uint64_t start, uint64_t size);
long part_remove_dev(struct blk_medium *, unsigned number);
long part_resize_dev(struct blk_medium *, unsigned number, uint64_t start, uint64_t size);
/* The first device with that number or a higher one, with a reference, or NULL. */
struct blk_dev *medium_dev(struct blk_medium *, unsigned from);
/* A write of [position, position + bytes) failed: every device that has some of it is told. */
void medium_write_failed(struct blk_medium *, uint64_t position, uint64_t bytes);
/* File's view of write errors: -EIO once for each that came after *seen. */
uint32_t dev_errors_seen(struct blk_dev *);
long dev_errors_report(struct blk_dev *, uint32_t *seen);

/* ---- the cache: cache.c ---- */

bool cache_init(struct blk_medium *);
void cache_destroy(struct blk_medium *);	/* last reference */
void cache_gone(struct blk_medium *);		/* the medium was taken away */
/* The page at index with a reference, read with up to `ahead` pages behind it if need be; ERR_PTR. */
struct page *cache_page(struct blk_medium *, uint64_t index, unsigned ahead);
/* Bytes moved from the uio into the cache at position, within one page; or -errno. */
ssize_t cache_write(struct blk_medium *, uint64_t position, struct uio *, size_t bytes);
void cache_balance(struct blk_medium *);	/* who made pages dirty helps to write them */
void cache_flush(struct blk_medium *, uint64_t first, uint64_t last);	/* bytes, inclusive; not the device's cache */
void cache_drop(struct blk_medium *, uint64_t first, uint64_t last);	/* what is clean and not in use */
/* The disk has new contents in this range (NULL: zeros); pages that are cached get them, too. */
void cache_changed(struct blk_medium *, uint64_t position, const struct page *, size_t bytes);
uint64_t cache_generation(struct blk_medium *, uint64_t first, uint64_t last);	/* rises when one in the range does */
/* What was read before this moment is not to be cached. */
void cache_new_generation(struct blk_medium *, uint64_t first, uint64_t last);
/* May the cache have contents that are not on the disk yet, be they on their way? */
bool cache_is_newer(struct blk_medium *, uint64_t first, uint64_t last);
/* A lent page.  NULL: there is none, whatever is forgotten; IF_THERE: nor can one be had soon. */
enum need { BY_ALL_MEANS, IF_THERE };
struct page *cache_page_alloc(enum need);

/* ---- files ---- */

struct blk_open {			/* file->private_ */
	struct blk_dev *dev;
	bool exclusive;
	uint64_t next;			/* where a sequential reader goes on */
	uint32_t errors_seen;
};
static inline struct blk_dev *file_dev(const struct file *f) { return ((struct blk_open *)f->private_)->dev; }
ssize_t direct_read(struct blk_dev *, struct uio *, uint64_t pos, size_t bytes);	/* direct.c */
ssize_t direct_write(struct blk_dev *, struct uio *, uint64_t pos, size_t bytes);
long direct_zero(struct blk_dev *, uint64_t pos, uint64_t bytes, bool fallback);
long direct_discard(struct blk_dev *, uint64_t pos, uint64_t bytes);
long blk_ioctl(struct file *, unsigned cmd, uint64_t arg);	/* ioctl.c */
long dev_sync(struct blk_dev *);		/* write-back and flush */
extern const struct file_ops blk_file_ops;

/* ---- names: names.c; disk->mutex held ---- */

void names_init(void);
void names_publish(struct blk_dev *);
void names_remove(struct blk_dev *);
void names_relink(struct blk_dev *, const struct probe *before);	/* it was looked at again */

#endif
