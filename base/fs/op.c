/* SPDX-License-Identifier: MIT */
/*
 * The operations that are not about names, and the way from a request to its
 * answer.
 */
#include "core.h"
#include "redo.h"

enum { ATTRIBUTE_CREDITS = 12, XATTR_CREDITS = 24 };

/* ---- whole file system ------------------------------------------------------------------- */

static int
answer_root(struct fs *fs, struct fs_job *job)
{
	struct inode *root;
	int error = inode_get(fs, ROOT_INODE, &root);

	if (error == 0) {
		inode_attributes(root, &job->answer.attributes);
		inode_put(root);
	}
	return error;
}

static int64_t
op_unmount(struct fs *fs, bool force)
{
	struct inode *inode;

	if (force && fs->mounted) {
		for (inode = fs->orphan_first; inode != NULL; inode = inode->orphan_next)
			inode->holds = 0;
		fs->recovering = false;
		orphans_reclaim(fs);
		return super_unmount(fs);
	}
	for (inode = fs->orphan_first; inode != NULL; inode = inode->orphan_next)
		if (inode->raw->links == 0 && !fs->failed)
			return -EBUSY;
	return super_unmount(fs);
}

/* All that was answered before is stable. */
static int
make_stable(struct fs *fs, uint64_t transaction, uint64_t written)
{
	int error = 0;

	if (fs->read_only)
		return fs->failed ? -EIO : 0;
	if (transaction > fs->journal.committed)
		error = journal_commit(fs, transaction);
	if (error == 0 && written > fs->flushed)
		error = disk_flush(fs);
	return error == 0 || error == -EIO ? error : -EIO;
}

static int
inode_make_stable(const struct inode *inode, uint32_t flags)
{
	return make_stable(inode->fs, (flags & FS_DATASYNC) != 0 ? inode->data_transaction :
	    inode->transaction, inode->written);
}

static int64_t
op_write(struct inode *inode, struct fs_job *job)
{
	int64_t result = data_write(inode, job);
	int error = 0;

	if (result >= 0 && (job->request.flags & FS_STABLE) != 0)
		error = inode_make_stable(inode, job->request.flags);
	return error != 0 ? error : result;
}

static int64_t
op_sync(struct fs *fs)
{
	return make_stable(fs, fs->journal.running != NULL ? fs->journal.running->id : 0, fs->written);
}

static int64_t
op_reserve(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	uint64_t granted;
	int error;

	if ((r->flags & FS_RELEASE) != 0) {
		granted = min64(r->length, fs->promised);
		fs->promised -= granted;
		return (int64_t)granted;
	}
	if (fs->read_only)
		return -EROFS;
	do {
		error = blocks_promise(fs, r->length, r->uid == 0, &granted);
	} while (error == -ENOSPC && discards_give_way(fs));
	return error != 0 ? error : (int64_t)granted;
}

static int64_t
op_statfs(struct fs *fs, struct fs_job *job)
{
	super_statfs(fs, (struct fs_statfs *)(void *)job->page);
	job->page_bytes = sizeof(struct fs_statfs);
	return 0;
}

/* What goes without a request of the client has no redo record, so it must be
 * stable before its inodes are given to others, whose records name them. */
static int
reclaim_for_good(struct fs *fs)
{
	int error = orphans_reclaim(fs);

	if (error == 0 && fs->journal.running != NULL)
		error = journal_commit(fs, fs->journal.running->id);
	return error;
}

static int64_t
op_mount(struct fs *fs, struct fs_job *job)
{
	int error = super_mount(fs, &job->request);

	if (error != 0)
		return error;
	fs->recovering = fs->options.recovering;
	fs->options.recovering = false;		/* another mount is nobody's heir */
	/* What an earlier life wrote in place may be in the disk's cache still: no flush of ours has
	 * been after it if its journal was empty. */
	if (fs->recovering)
		fs->written = fs->left_written = 1;
	orphans_load(fs);
	error = redo_open(fs, fs->recovering, fs->recovered);
	if (error == 0 && fs->recovering)
		error = redo_replay(fs);
	if (error != 0)
		say(fs, "the redo area cannot be used: error %d", -error);
	if (!fs->recovering)
		reclaim_for_good(fs);
	return answer_root(fs, job);
}

/* The client has said for which inodes it holds: the others go. */
static int64_t
op_recovered(struct fs *fs, uint64_t first_unanswered)
{
	fs->recovering = false;
	redo_hold(fs, first_unanswered);
	return reclaim_for_good(fs);
}

/* ---- inodes ----------------------------------------------------------------------------------- */

static int
set_size(struct inode *inode, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	const struct fs_time *now = (r->valid & FS_SET_MTIME) != 0 ? NULL : &r->now;
	int error;

	if (inode_is_dir(inode))
		return -EISDIR;
	if ((inode->raw->mode & 0xf000) != 0x8000)
		return -EINVAL;
	lock_exclusive(&inode->io);
	error = inode->deleting ? -ESTALE : data_truncate(inode, r->size, now, &job->answer.transaction);
	unlock(&inode->io);
	return error;
}

static void
set_fields(struct inode *inode, const struct fs_request *r)
{
	struct ext4_inode *raw = inode->raw;

	if ((r->valid & FS_SET_MODE) != 0)
		raw->mode = (uint16_t)((raw->mode & 0xf000) | (r->mode & 07777));
	if ((r->valid & FS_SET_UID) != 0) {
		raw->uid = (uint16_t)r->uid;
		raw->uid_hi = (uint16_t)(r->uid >> 16);
	}
	if ((r->valid & FS_SET_GID) != 0) {
		raw->gid = (uint16_t)r->gid;
		raw->gid_hi = (uint16_t)(r->gid >> 16);
	}
	if ((r->valid & FS_SET_ATIME) != 0)
		inode_set_time(inode, TIME_A, &r->atime);
	if ((r->valid & FS_SET_MTIME) != 0)
		inode_set_time(inode, TIME_M, &r->mtime);
	if ((r->valid & FS_SET_CTIME) != 0)
		inode_set_time(inode, TIME_C, &r->now);
	if ((r->valid & FS_SET_FLAGS) != 0)
		raw->flags = (raw->flags & ~(uint32_t)INODE_USER_MODIFIABLE) |
		    ((uint32_t)r->size & INODE_USER_MODIFIABLE);
}

static int
op_setattr(struct inode *inode, struct fs_job *job)
{
	struct fs *fs = inode->fs;
	struct fs_request *r = &job->request;
	struct handle h;
	int error = 0;

	if ((r->valid & FS_SET_SIZE) != 0 && (r->valid & FS_SET_FLAGS) != 0)
		return -EINVAL;		/* both are in `size` */
	lock_exclusive(&inode->names);
	if ((r->valid & FS_SET_SIZE) != 0)
		error = set_size(inode, job);
	if (error == 0 && (r->valid & ~(uint32_t)FS_SET_SIZE) != 0) {
		error = journal_start(fs, ATTRIBUTE_CREDITS, &h);
		if (error == 0) {
			set_fields(inode, r);
			error = inode_store(&h, inode);
			job->answer.transaction = h.transaction->id;
			journal_stop(&h);
		}
	}
	unlock(&inode->names);
	return error;
}

static int
op_evict(struct inode *inode, struct fs_job *job)
{
	int error;

	if (inode->raw->links != 0 || !inode->orphan)
		return 0;
	inode->holds = 0;
	if (inode->fs->read_only)
		return 0;
	error = inode_delete(inode);
	if (error == 0)
		job->answer.transaction = inode->transaction;
	return error;
}

static int64_t
op_readlink(struct inode *inode, struct fs_job *job)
{
	struct fs *fs = inode->fs;
	uint64_t size = inode_size(inode);
	struct mapping m;
	struct buffer *b;
	int error;

	if ((inode->raw->mode & 0xf000) != 0xa000)
		return -EINVAL;
	if (inode_fast_link(inode)) {
		if (size > sizeof inode->raw->block)
			return fs_error(fs, -ECORRUPT, "inode %u: symbolic link of %llu bytes", inode->number,
			    (unsigned long long)size);
		memcpy(job->page, inode->raw->block, size);
	} else {
		if (size == 0 || size >= fs->block_bytes)
			return fs_error(fs, -ECORRUPT, "inode %u: symbolic link of %llu bytes", inode->number,
			    (unsigned long long)size);
		error = map_find(inode, 0, 1, &m);
		if (error == 0 && (m.start == 0 || m.unwritten))
			error = -EIO;
		if (error == 0)
			error = buffer_read(fs, m.start, &b);
		if (error != 0)
			return error;
		memcpy(job->page, b->data, size);
		buffer_put(fs, b);
	}
	if (size < FS_SLOT_BYTES)
		job->page[size] = '\0';
	job->page_bytes = (uint32_t)min64(size + 1, FS_SLOT_BYTES);
	return (int64_t)size;
}

/* ---- extended attributes --------------------------------------------------------------------------- */

static int64_t
op_xattr_get(struct inode *inode, struct fs_job *job)
{
	char name[FS_NAME + 32];
	size_t length = strnlen((const char *)job->page, FS_SLOT_BYTES);
	int64_t result;

	if (length >= sizeof name)
		return -ERANGE;
	memcpy(name, job->page, length);
	name[length] = '\0';
	lock_shared(&inode->names);
	result = xattr_get(inode, name, job->page, FS_SLOT_BYTES);
	unlock(&inode->names);
	job->page_bytes = result > 0 ? (uint32_t)result : 0;
	return result;
}

static int64_t
op_xattr_list(struct inode *inode, struct fs_job *job)
{
	int64_t result;

	lock_shared(&inode->names);
	result = xattr_list(inode, job->page, FS_SLOT_BYTES);
	unlock(&inode->names);
	job->page_bytes = result > 0 ? (uint32_t)result : 0;
	return result;
}

static int64_t
op_xattr_set(struct inode *inode, struct fs_job *job)
{
	bool remove = job->request.op == FS_REMOVEXATTR;
	const char *name = (const char *)job->page;
	size_t length = strnlen(name, FS_SLOT_BYTES);
	struct handle h;
	int error;

	if (length == FS_SLOT_BYTES || (!remove && job->request.length > FS_SLOT_BYTES - length - 1))
		return -ERANGE;
	lock_exclusive(&inode->names);
	error = journal_start(inode->fs, XATTR_CREDITS, &h);
	if (error == 0) {
		error = xattr_set(&h, inode, name, job->page + length + 1,
		    remove ? 0 : job->request.length, remove, job->request.flags);
		if (error == 0) {
			inode_set_time(inode, TIME_C, &job->request.now);
			error = inode_store(&h, inode);
			job->answer.transaction = h.transaction->id;
		}
		journal_stop(&h);
	}
	unlock(&inode->names);
	return error;
}

/* ---- dispatch ------------------------------------------------------------------------------------------ */

static int64_t
inode_op(struct inode *inode, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	bool file = (inode->raw->mode & 0xf000) == 0x8000;

	switch (r->op) {
	case FS_GETATTR:
		return 0;
	case FS_SETATTR:
		return op_setattr(inode, job);
	case FS_EVICT:
		return op_evict(inode, job);
	case FS_HOLD:
		inode->holds = 1;
		return 0;
	case FS_FSYNC:
		return inode_make_stable(inode, r->flags);
	case FS_READLINK:
		return op_readlink(inode, job);
	case FS_READ:
		return file ? data_read(inode, job) : -EINVAL;
	case FS_WRITE:
		return file ? op_write(inode, job) : -EINVAL;
	case FS_FALLOCATE:
		return file ? data_fallocate(inode, job) : -ENODEV;
	case FS_SEEK:
		if (r->flags != 3 && r->flags != 4)	/* SEEK_DATA, SEEK_HOLE */
			return -EINVAL;
		return file ? data_seek(inode, r->offset, r->flags == 4) : -EINVAL;
	case FS_EXTENTS:
		return data_extents(inode, job);
	case FS_GETXATTR:
		return op_xattr_get(inode, job);
	case FS_LISTXATTR:
		return op_xattr_list(inode, job);
	case FS_SETXATTR:
	case FS_REMOVEXATTR:
		return op_xattr_set(inode, job);
	default:
		return -ENOSYS;
	}
}

static bool
changes(uint32_t op)
{
	switch (op) {
	case FS_CREATE:
	case FS_LINK:
	case FS_UNLINK:
	case FS_RMDIR:
	case FS_RENAME:
	case FS_SETATTR:
	case FS_WRITE:
	case FS_FALLOCATE:
	case FS_SETXATTR:
	case FS_REMOVEXATTR:
		return true;
	default:
		return false;
	}
}

static int64_t
run_on_inode(struct fs *fs, struct fs_job *job)
{
	struct inode *inode;
	int64_t result = inode_get(fs, job->request.inode, &inode);

	if (result != 0)
		return result;
	if (inode->raw->generation != job->request.generation)
		result = -ESTALE;
	else
		result = inode_op(inode, job);
	if (result >= 0 && !(job->request.op == FS_EVICT && inode->deleting))
		inode_attributes(inode, &job->answer.attributes);
	inode_put(inode);
	return result;
}

static int64_t
run_mounted(struct fs *fs, struct fs_job *job)
{
	uint32_t op = job->request.op;

	if (!fs->mounted)
		return -ENODEV;
	if (fs->read_only && changes(op))
		return -EROFS;
	switch (op) {
	case FS_STATFS:
		return op_statfs(fs, job);
	case FS_SYNC:
		return op_sync(fs);
	case FS_RECOVERED:
		return op_recovered(fs, job->request.offset);
	case FS_RESERVE:
		return op_reserve(fs, job);
	case FS_TRIM:
		return discard_trim(fs, job);
	default:
		return op >= FS_LOOKUP && op <= FS_READDIR ? names_op(fs, job) : run_on_inode(fs, job);
	}
}

/* Blocks freed by a transaction that is not committed are no one's yet: when
 * there are no others, the commit is what helps. */
static bool
worth_a_commit(struct fs *fs)
{
	return fs->mounted && !fs->read_only && fs->busy_blocks != 0 && fs->journal.running != NULL;
}

int64_t
op_run(struct fs *fs, struct fs_job *job)
{
	uint32_t op = job->request.op;
	int64_t result;

	if (op == FS_MOUNT || op == FS_UNMOUNT || op == FS_REMOUNT) {
		lock_exclusive(&fs->gate);
		result = op == FS_MOUNT ? op_mount(fs, job) : op == FS_UNMOUNT ? op_unmount(fs, (job->request.flags & FS_UNMOUNT_FORCE) != 0) :
		    !fs->mounted ? -ENODEV :
		    super_remount(fs, &job->request);
		unlock(&fs->gate);
		return result;
	}
	lock_shared(&fs->gate);
	result = redo_begin(fs, job);
	if (result != 0) {
		/* known from an earlier life, or refused */
		result = result > 0 ? job->answer.result : result;
		redo_end(fs, job);
		unlock(&fs->gate);
		return result;
	}
	result = run_mounted(fs, job);
	if (result == -ENOSPC && changes(op) && worth_a_commit(fs)) {
		if (journal_commit(fs, fs->journal.running->id) == 0)
			result = run_mounted(fs, job);
	}
	while (result == -ENOSPC && changes(op) && discards_give_way(fs))
		result = run_mounted(fs, job);
	job->answer.result = result;
	redo_end(fs, job);
	unlock(&fs->gate);
	return result;
}

int64_t
op_again(struct fs *fs, struct fs_job *job)
{
	return run_mounted(fs, job);
}
