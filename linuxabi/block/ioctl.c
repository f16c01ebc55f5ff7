/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2) of block devices: <linux/fs.h>, <linux/blkpg.h>, <linux/hdreg.h>.
 */
#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/hdreg.h>
#include "internal.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, __u64)
#endif

enum { SOFT_BLOCK = 4096, GEO_HEADS = 64, GEO_SECTORS = 32, PART_NUMBER_MAX = 256 };

static long put_u16(uint64_t arg, uint16_t v) { return copy_to_user(arg, &v, sizeof(v)); }

/* ---- ranges: two 64-bit numbers, start and length in bytes ---- */

static long
range_get(struct file *f, uint64_t arg, uint64_t *start, uint64_t *length)
{
	struct blk_dev *d = file_dev(f);
	uint32_t mask = d->medium->facts.block_size - 1;
	uint64_t range[2];

	if (!f->writable)
		return -EBADF;
	if (copy_from_user(range, arg, sizeof(range)) != 0)
		return -EFAULT;
	if (((range[0] | range[1]) & mask) != 0)
		return -EINVAL;
	if (range[0] > READ_ONCE(d->size) || range[1] > READ_ONCE(d->size) - range[0])
		return -EINVAL;
	if (READ_ONCE(d->read_only))
		return -EPERM;
	*start = range[0];
	*length = range[1];
	return 0;
}

static long
ioctl_discard(struct file *f, uint64_t arg)
{
	uint64_t start, length;
	long r;

	if ((file_dev(f)->medium->facts.flags & BLOCK_HAS_DISCARD) == 0)
		return -EOPNOTSUPP;
	r = range_get(f, arg, &start, &length);
	return r != 0 ? r : direct_discard(file_dev(f), start, length);
}

static long
ioctl_zero(struct file *f, uint64_t arg)
{
	uint64_t start, length;
	long r = range_get(f, arg, &start, &length);

	return r != 0 ? r : direct_zero(file_dev(f), start, length, true);
}

/* ---- the partition table as the system sees it ---- */

static long
reread(struct file *f)
{
	struct blk_dev *d = file_dev(f);
	struct blk_open *o = f->private_;
	long r;

	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (d->number != 0)
		return -EINVAL;
	mutex_lock(&dev_disk(d)->mutex);
	if (d->gone)
		r = -ENXIO;
	else if (d->holder != NULL && d->holder != o)
		r = -EBUSY;
	else
		r = medium_rescan(d->medium);
	mutex_unlock(&dev_disk(d)->mutex);
	return r;
}

static long
ioctl_partition(struct file *f, uint64_t arg)
{
	struct blk_dev *d = file_dev(f);
	struct blkpg_ioctl_arg a;
	struct blkpg_partition p;
	long r;

	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (copy_from_user(&a, arg, sizeof(a)) != 0 || copy_from_user(&p, (uaddr_t)a.data, sizeof(p)) != 0)
		return -EFAULT;
	if (d->number != 0 || p.pno <= 0 || p.pno >= PART_NUMBER_MAX)
		return -EINVAL;
	if (a.op != BLKPG_DEL_PARTITION && (p.start < 0 || p.length <= 0))
		return -EINVAL;
	mutex_lock(&dev_disk(d)->mutex);
	if (d->gone)
		r = -ENXIO;
	else if (a.op == BLKPG_ADD_PARTITION)
		r = part_add_dev(d->medium, (unsigned)p.pno, (uint64_t)p.start, (uint64_t)p.length);
	else if (a.op == BLKPG_DEL_PARTITION)
		r = part_remove_dev(d->medium, (unsigned)p.pno);
	else if (a.op == BLKPG_RESIZE_PARTITION)
		r = part_resize_dev(d->medium, (unsigned)p.pno, (uint64_t)p.start, (uint64_t)p.length);
	else
		r = -EINVAL;
	mutex_unlock(&dev_disk(d)->mutex);
	return r;
}

/* ---- what can be set ---- */

static long
set_read_only(struct blk_dev *d, uint64_t arg)
{
	uint32_t v;

	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (get_user_u32(&v, arg) != 0)
		return -EFAULT;
	if (v == 0 && (d->medium->facts.flags & BLOCK_READONLY) != 0)
		return -EROFS;
	WRITE_ONCE(d->read_only, v != 0);
	return 0;
}

/* The size in which file systems may talk to it: nothing here depends on it. */
static long
set_soft_block(struct blk_dev *d, uint64_t arg)
{
	uint32_t v;

	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	if (get_user_u32(&v, arg) != 0)
		return -EFAULT;
	return v < d->medium->facts.block_size || v > PAGE_SIZE || (v & (v - 1)) != 0 ? -EINVAL : 0;
}

static long
flush_buffers(struct blk_dev *d)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	cache_flush(d->medium, d->start, d->start + max(d->size, (uint64_t)1) - 1);
	cache_drop(d->medium, d->start, d->start + max(d->size, (uint64_t)1) - 1);
	return 0;
}

static long
set_ahead(struct blk_dev *d, uint64_t sectors)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EACCES;
	WRITE_ONCE(d->ahead_sectors, min(sectors, (uint64_t)FILL_PAGES * (PAGE_SIZE / SECTOR)));
	return 0;
}

/* ---- geometry: cylinders that were never there ---- */

static long
geometry(struct blk_dev *d, uint64_t arg)
{
	struct hd_geometry g = {
		.heads = GEO_HEADS, .sectors = GEO_SECTORS,
		.cylinders = (unsigned short)min(d->size / SECTOR / (GEO_HEADS * GEO_SECTORS), (uint64_t)UINT16_MAX),
		.start = d->start / SECTOR,
	};

	return arg == 0 ? -EINVAL : copy_to_user(arg, &g, sizeof(g));
}

long
blk_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct blk_dev *d = file_dev(f);
	const struct block_facts *facts = &d->medium->facts;
	uint64_t sectors = READ_ONCE(d->size) / SECTOR;

	if (READ_ONCE(d->gone))
		return -ENXIO;
	switch (cmd) {
	case BLKGETSIZE:
		return put_user_u64(arg, sectors);
	case BLKGETSIZE64:
		return put_user_u64(arg, sectors * SECTOR);
	case BLKSSZGET:
		return put_user_u32(arg, facts->block_size);
	case BLKPBSZGET:
	case BLKIOMIN:
		return put_user_u32(arg, max(facts->physical_size, facts->block_size));
	case BLKIOOPT:
	case BLKALIGNOFF:
	case BLKDISCARDZEROES:
		return put_user_u32(arg, 0);
	case BLKBSZGET:
		return put_user_u32(arg, SOFT_BLOCK);
	case BLKBSZSET:
		return set_soft_block(d, arg);
	case BLKSECTGET:
		return put_u16(arg, (uint16_t)min(facts->max_bytes / SECTOR, (uint32_t)UINT16_MAX));
	case BLKROTATIONAL:
		return put_u16(arg, 0);
	case BLKROGET:
		return put_user_u32(arg, READ_ONCE(d->read_only));
	case BLKROSET:
		return set_read_only(d, arg);
	case BLKRAGET:
	case BLKFRAGET:
		return put_user_u64(arg, READ_ONCE(d->ahead_sectors));
	case BLKRASET:
	case BLKFRASET:
		return set_ahead(d, arg);
	case BLKFLSBUF:
		return flush_buffers(d);
	case BLKDISCARD:
		return ioctl_discard(f, arg);
	case BLKSECDISCARD:
		return -EOPNOTSUPP;
	case BLKZEROOUT:
		return ioctl_zero(f, arg);
	case BLKGETDISKSEQ:
		return put_user_u64(arg, d->medium->sequence);
	case BLKRRPART:
		return reread(f);
	case BLKPG:
		return ioctl_partition(f, arg);
	case HDIO_GETGEO:
		return geometry(d, arg);
	case BLKGETZONESZ:
	case BLKGETNRZONES:
		return put_user_u32(arg, 0);
	default:
		return -ENOTTY;
	}
}
