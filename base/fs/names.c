/* SPDX-License-Identifier: MIT */
/*
 * Operations on names: lookup, create, link, unlink, rmdir, rename, readdir.
 * Each changes everything that belongs to it in one transaction.
 */
#include "core.h"

enum { MAX_LINKS = 65000, NAME_CREDITS = 60, RENAME_CREDITS = 100, FAST_LINK = 60 };
enum { RENAME_NOREPLACE_FLAG = 1, RENAME_EXCHANGE_FLAG = 2 };
enum { MAX_DEPTH = 65536 };
enum { MODE_TYPE = 0xf000, MODE_DIR = 0x4000, MODE_FILE = 0x8000, MODE_LINK = 0xa000 };

/* ---- arguments ------------------------------------------------------------------------- */

/* The name at `from` in the page, which ends there; *next is behind its NUL. */
static int
take_name(const uint8_t *page, size_t from, const char **name, size_t *length, size_t *next)
{
	const uint8_t *end;

	if (from >= FS_SLOT_BYTES)
		return -EINVAL;
	end = memchr(page + from, 0, FS_SLOT_BYTES - from);
	if (end == NULL)
		return -ENAMETOOLONG;
	*name = (const char *)page + from;
	*length = (size_t)(end - page) - from;
	*next = from + *length + 1;
	if (*length > FS_NAME)
		return -ENAMETOOLONG;
	return memchr(*name, '/', *length) != NULL ? -EINVAL : 0;
}

static bool
is_dots(const char *name, size_t length)
{
	return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

static int
get_dir(struct fs *fs, uint32_t number, uint32_t generation, struct inode **dir)
{
	int error = inode_get(fs, number, dir);

	if (error != 0)
		return error;
	error = (*dir)->raw->generation != generation ? -ESTALE : !inode_is_dir(*dir) ? -ENOTDIR : 0;
	if (error != 0)
		inode_put(*dir);
	return error;
}

static uint32_t
place_inode(const struct dir_place *p)
{
	return ((const struct ext4_dirent *)(const void *)(p->buffer->data + p->offset))->inode;
}

/* The inode that a name leads to, and where the name is. */
static int
find_inode(struct inode *dir, const char *name, size_t length, struct dir_place *place,
    struct inode **inode)
{
	struct fs *fs = dir->fs;
	int error = dir_find(dir, name, length, place);

	if (error != 0)
		return error;
	error = inode_get(fs, place_inode(place), inode);
	if (error != 0) {
		buffer_put(fs, place->buffer);
		if (error == -ESTALE)
			error = fs_error(fs, -ECORRUPT, "directory %u: an entry names inode %u, which is deleted",
			    dir->number, place_inode(place));
	}
	return error;
}

static void
touch_dir(struct inode *dir, const struct fs_time *now)
{
	inode_set_time(dir, TIME_M, now);
	inode_set_time(dir, TIME_C, now);
}

/* ---- links to directories ------------------------------------------------------------------ */

static int
dir_link_room(const struct inode *dir)
{
	if (dir->raw->links >= MAX_LINKS &&
	    (dir->fs->super->feature_ro_compat & RO_DIR_NLINK) == 0)
		return -EMLINK;
	return 0;
}

/* More than fit are counted as 1, with dir_nlink. */
static void
dir_link_add(struct inode *dir)
{
	if (dir->raw->links == 1)
		return;
	if (++dir->raw->links >= MAX_LINKS)
		dir->raw->links = 1;
}

static void
dir_link_remove(struct inode *dir)
{
	if (dir->raw->links > 2)
		dir->raw->links--;
}

/* ---- lookup, list ------------------------------------------------------------------------------ */

static int64_t
op_lookup(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	struct dir_place place;
	struct inode *dir, *inode;
	const char *name;
	size_t length, next;
	int error = take_name(job->page, 0, &name, &length, &next);

	if (error == 0)
		error = length == 0 ? -ENOENT : get_dir(fs, r->inode, r->generation, &dir);
	if (error != 0)
		return error;
	lock_shared(&fs->names);
	lock_shared(&dir->names);
	error = find_inode(dir, name, length, &place, &inode);
	unlock(&dir->names);
	unlock(&fs->names);
	if (error == 0) {
		buffer_put(fs, place.buffer);
		inode_attributes(inode, &job->answer.attributes);
		inode_put(inode);
	}
	inode_put(dir);
	return error;
}

static int64_t
op_readdir(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	struct inode *dir;
	int64_t result = get_dir(fs, r->inode, r->generation, &dir);

	if (result != 0)
		return result;
	lock_shared(&fs->names);
	lock_shared(&dir->names);
	result = dir->raw->links == 0 ? 0 : dir_list(dir, r->offset, job->page, FS_SLOT_BYTES);
	unlock(&dir->names);
	unlock(&fs->names);
	if (result > 0)
		job->page_bytes = (uint32_t)result;
	inode_put(dir);
	return result;
}

/* ---- create ---------------------------------------------------------------------------------------- */

static int
write_link(struct handle *h, struct inode *inode, const char *target, size_t length)
{
	struct mapping m = { .count = 1 };
	struct buffer *b;
	int error;

	inode_set_size(inode, length);
	if (length < FAST_LINK) {
		memcpy(inode->raw->block, target, length);
		return 0;
	}
	extents_init(inode);
	error = block_new(h, inode->goal, &m.start);
	if (error != 0)
		return error;
	error = journal_new(h, m.start, &b);
	if (error != 0) {
		blocks_free(h, m.start, 1, false);
		return error;
	}
	memcpy(b->data, target, length);
	buffer_put(h->fs, b);
	inode_add_blocks(inode, 1);
	return map_insert(h, inode, &m);
}

static int
check_create(struct fs *fs, const struct fs_request *r, const uint8_t *page, size_t next,
    const char **target, size_t *length)
{
	const uint8_t *end;

	switch (r->mode & MODE_TYPE) {
	case MODE_LINK:
		end = next < FS_SLOT_BYTES ? memchr(page + next, 0, FS_SLOT_BYTES - next) : NULL;
		if (end == NULL)
			return -ENAMETOOLONG;
		*target = (const char *)page + next;
		*length = (size_t)(end - (page + next));
		return *length == 0 ? -ENOENT : *length >= fs->block_bytes ? -ENAMETOOLONG : 0;
	case MODE_FILE:
	case MODE_DIR:
	case 0x1000:
	case 0x2000:
	case 0x6000:
	case 0xc000:
		return r->rdev >> 32 != 0 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* What was begun and cannot be finished: it has no name, and it goes. */
static void
give_up(struct handle *h, struct inode *inode)
{
	inode->raw->links = 0;
	orphan_add(h, inode);
}

static int
create_in(struct handle *h, struct inode *dir, const struct fs_request *r, const char *name,
    size_t length, const char *target, size_t target_length, struct inode **result)
{
	bool is_dir = (r->mode & MODE_TYPE) == MODE_DIR;
	struct inode *inode;
	int error = inode_new(h, dir, r, &inode);

	if (error != 0)
		return error;
	inode->raw->links = length == 0 ? 0 : is_dir ? 2 : 1;
	if (is_dir)
		error = dir_init(h, inode, dir->number);
	else if (target != NULL)
		error = write_link(h, inode, target, target_length);
	if (error == 0 && length == 0)
		error = orphan_add(h, inode);
	else if (error == 0)
		error = dir_add(h, dir, name, length, inode->number, r->mode);
	if (error == 0)
		error = inode_store(h, inode);
	if (error == 0 && length != 0) {
		if (is_dir)
			dir_link_add(dir);
		touch_dir(dir, &r->now);
		error = inode_store(h, dir);
	}
	inode->data_transaction = h->transaction->id;
	if (error != 0) {
		give_up(h, inode);
	}
	*result = inode;
	return error;
}

static int
create_locked(struct fs *fs, struct fs_job *job, struct inode *dir, const char *name, size_t length,
    const char *target, size_t target_length)
{
	struct fs_request *r = &job->request;
	struct dir_place place;
	struct inode *inode = NULL;
	struct handle h;
	int error;

	if (dir->raw->links == 0)
		return -ENOENT;
	if (length != 0) {
		error = dir_find(dir, name, length, &place);
		if (error == 0) {
			buffer_put(fs, place.buffer);
			return -EEXIST;
		}
		if (error != -ENOENT)
			return error;
	}
	if ((r->mode & MODE_TYPE) == MODE_DIR && dir_link_room(dir) != 0)
		return -EMLINK;
	error = journal_start(fs, NAME_CREDITS, &h);
	if (error != 0)
		return error;
	error = create_in(&h, dir, r, name, length, target, target_length, &inode);
	if (error == 0 && length != 0)
		job->answer.made = dir_cookie(dir, name, length);
	job->answer.transaction = h.transaction->id;
	journal_stop(&h);
	if (inode == NULL)
		return error;
	if (error == 0)
		inode_attributes(inode, &job->answer.attributes);
	else
		inode_delete(inode);
	inode_put(inode);
	return error;
}

static int64_t
op_create(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	const char *name, *target = NULL;
	size_t length, next, target_length = 0;
	struct inode *dir;
	int error = take_name(job->page, 0, &name, &length, &next);

	if (error == 0)
		error = check_create(fs, r, job->page, next, &target, &target_length);
	if (error == 0 && length == 0 && (r->mode & MODE_TYPE) != MODE_FILE)
		error = -ENOENT;
	if (error == 0 && length != 0 && is_dots(name, length))
		error = -EEXIST;
	if (error == 0)
		error = get_dir(fs, r->inode, r->generation, &dir);
	if (error != 0)
		return error;
	lock_shared(&fs->names);
	lock_exclusive(&dir->names);
	error = create_locked(fs, job, dir, name, length, target, target_length);
	unlock(&dir->names);
	unlock(&fs->names);
	inode_put(dir);
	return error;
}

/* ---- link --------------------------------------------------------------------------------------------- */

/* A name that was counted is not there; meanwhile it may have been the last one. */
static void
unlink_again(struct handle *h, struct inode *inode)
{
	if (--inode->raw->links == 0 && !inode->orphan)
		orphan_add(h, inode);
	else
		inode_store(h, inode);
}

static int
link_locked(struct fs *fs, struct fs_job *job, struct inode *dir, struct inode *inode,
    const char *name, size_t length)
{
	struct fs_request *r = &job->request;
	struct dir_place place;
	struct handle h;
	int error;

	if (dir->raw->links == 0)
		return -ENOENT;
	error = dir_find(dir, name, length, &place);
	if (error == 0) {
		buffer_put(fs, place.buffer);
		return -EEXIST;
	}
	if (error != -ENOENT)
		return error;
	error = journal_start(fs, NAME_CREDITS, &h);
	if (error != 0)
		return error;
	if (inode->deleting)
		error = -ENOENT;
	else if (inode->raw->links >= MAX_LINKS)
		error = -EMLINK;
	if (error == 0) {
		/* counted before anybody sleeps: from here on it cannot be deleted */
		inode->raw->links++;
		error = dir_add(&h, dir, name, length, inode->number, inode->raw->mode);
		if (error != 0)
			unlink_again(&h, inode);
	}
	if (error == 0 && inode->orphan)
		error = orphan_remove(&h, inode);	/* made without a name */
	if (error == 0) {
		inode_set_time(inode, TIME_C, &r->now);
		error = inode_store(&h, inode);
	}
	if (error == 0) {
		touch_dir(dir, &r->now);
		error = inode_store(&h, dir);
	}
	if (error == 0)
		job->answer.made = dir_cookie(dir, name, length);
	job->answer.transaction = h.transaction->id;
	journal_stop(&h);
	if (error == 0)
		inode_attributes(inode, &job->answer.attributes);
	return error;
}

static int64_t
op_link(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	const char *name;
	size_t length, next;
	struct inode *dir, *inode;
	int error = take_name(job->page, 0, &name, &length, &next);

	if (error == 0 && (length == 0 || is_dots(name, length)))
		error = length == 0 ? -ENOENT : -EEXIST;
	if (error == 0)
		error = inode_get(fs, r->inode2, &inode);
	if (error != 0)
		return error;
	if (inode->raw->generation != r->generation2)
		error = -ESTALE;
	else if (inode_is_dir(inode))
		error = -EPERM;
	else
		error = get_dir(fs, r->inode, r->generation, &dir);
	if (error == 0) {
		lock_shared(&fs->names);
		lock_exclusive(&dir->names);
		error = link_locked(fs, job, dir, inode, name, length);
		unlock(&dir->names);
		unlock(&fs->names);
		inode_put(dir);
	}
	inode_put(inode);
	return error;
}

/* ---- unlink, rmdir ----------------------------------------------------------------------------------------- */

/* The inode has one name less. */
static int
drop_name(struct handle *h, struct inode *inode, const struct fs_time *now)
{
	int error = 0;

	inode_set_time(inode, TIME_C, now);
	if (inode_is_dir(inode))
		inode->raw->links = 0;
	else if (inode->raw->links > 0)
		inode->raw->links--;
	if (inode->raw->links == 0)
		error = orphan_add(h, inode);
	return error != 0 ? error : inode_store(h, inode);
}

/* An inode whose blocks cannot be freed keeps its last name. */
static bool
deletable(struct inode *inode)
{
	return (inode->raw->flags & INODE_EXTENTS) != 0 || inode_fast_link(inode) ||
	    inode_blocks(inode) == 0 || inode->raw->links > 1;
}

static int
unlink_locked(struct fs *fs, struct fs_job *job, struct inode *dir, const char *name, size_t length)
{
	bool rmdir = job->request.op == FS_RMDIR, empty = true;
	struct fs_request *r = &job->request;
	struct dir_place place;
	struct inode *inode;
	struct handle h;
	int error = find_inode(dir, name, length, &place, &inode);

	if (error != 0)
		return error;
	if (inode_is_dir(inode) != rmdir)
		error = rmdir ? -ENOTDIR : -EISDIR;
	else if (inode == dir || inode->number == ROOT_INODE)
		error = -EBUSY;
	else if (!deletable(inode))
		error = -EOPNOTSUPP;
	if (error == 0 && rmdir)
		error = dir_empty(inode, &empty);
	if (error == 0 && !empty)
		error = -ENOTEMPTY;
	if (error == 0)
		error = journal_start(fs, NAME_CREDITS, &h);
	if (error == 0) {
		error = dir_remove(&h, dir, &place);
		if (error == 0)
			error = drop_name(&h, inode, &r->now);
		if (error == 0) {
			if (rmdir)
				dir_link_remove(dir);
			touch_dir(dir, &r->now);
			error = inode_store(&h, dir);
		}
		if (error == 0)
			job->answer.gone = dir_cookie(dir, name, length);
		job->answer.transaction = h.transaction->id;
		journal_stop(&h);
	}
	if (error == 0)
		inode_attributes(inode, &job->answer.attributes);
	buffer_put(fs, place.buffer);
	inode_put(inode);
	return error;
}

static int64_t
op_unlink(struct fs *fs, struct fs_job *job)
{
	bool rmdir = job->request.op == FS_RMDIR;
	struct fs_request *r = &job->request;
	const char *name;
	size_t length, next;
	struct inode *dir;
	int error = take_name(job->page, 0, &name, &length, &next);

	if (error == 0 && length == 0)
		error = -ENOENT;
	if (error == 0 && is_dots(name, length))
		error = !rmdir ? -EISDIR : length == 1 ? -EINVAL : -ENOTEMPTY;
	if (error == 0)
		error = get_dir(fs, r->inode, r->generation, &dir);
	if (error != 0)
		return error;
	/* rmdir looks into another directory: nothing may be made there meanwhile */
	rmdir ? lock_exclusive(&fs->names) : lock_shared(&fs->names);
	lock_exclusive(&dir->names);
	error = unlink_locked(fs, job, dir, name, length);
	unlock(&dir->names);
	unlock(&fs->names);
	inode_put(dir);
	return error;
}

/* ---- rename --------------------------------------------------------------------------------------------------- */

struct rename {
	struct fs *fs;
	struct fs_job *job;
	struct inode *from, *to;	/* directories */
	const char *old_name, *new_name;
	size_t old_length, new_length;
	struct dir_place old_place, new_place;
	struct inode *old, *new;	/* new: what is there, or null */
};

/* Would dir come to lie below itself? */
static int
check_not_below(struct fs *fs, struct inode *dir, struct inode *target)
{
	uint32_t number = target->number;
	struct inode *at;
	int error;

	for (int depth = 0; depth < MAX_DEPTH; depth++) {
		if (number == dir->number)
			return -EINVAL;
		if (number == ROOT_INODE)
			return 0;
		error = inode_get(fs, number, &at);
		if (error != 0)
			return error;
		error = inode_is_dir(at) ? dir_parent(at, &number) : -ECORRUPT;
		inode_put(at);
		if (error != 0)
			return error;
	}
	return fs_error(fs, -ECORRUPT, "directory %u has no way up to the root", target->number);
}

static int
rename_check(struct rename *n)
{
	bool exchange = (n->job->request.flags & RENAME_EXCHANGE_FLAG) != 0, empty;
	int error = 0;

	if (n->to->raw->links == 0)
		return -ENOENT;
	if (n->new != NULL && (n->job->request.flags & RENAME_NOREPLACE_FLAG) != 0)
		return -EEXIST;
	if (exchange && n->new == NULL)
		return -ENOENT;
	if (inode_is_dir(n->old))
		error = check_not_below(n->fs, n->old, n->to);
	if (error == 0 && exchange && inode_is_dir(n->new))
		error = check_not_below(n->fs, n->new, n->from);
	if (error != 0 || n->new == NULL || exchange)
		return error;
	if (!deletable(n->new))
		return -EOPNOTSUPP;
	if (!inode_is_dir(n->old))
		return inode_is_dir(n->new) ? -EISDIR : 0;
	if (!inode_is_dir(n->new))
		return -ENOTDIR;
	error = dir_empty(n->new, &empty);
	return error != 0 ? error : empty ? 0 : -ENOTEMPTY;
}

/* A moved directory's ".." and the counts of its old and new parent. */
static int
move_parent(struct handle *h, struct inode *dir, struct inode *from, struct inode *to)
{
	int error;

	if (!inode_is_dir(dir) || from == to)
		return 0;
	error = dir_set_parent(h, dir, to->number);
	if (error == 0) {
		dir_link_remove(from);
		dir_link_add(to);
	}
	return error;
}

static int
store_renamed(struct handle *h, struct rename *n)
{
	const struct fs_time *now = &n->job->request.now;
	int error;

	inode_set_time(n->old, TIME_C, now);
	touch_dir(n->from, now);
	touch_dir(n->to, now);
	error = inode_store(h, n->old);
	if (error == 0)
		error = inode_store(h, n->from);
	if (error == 0 && n->to != n->from)
		error = inode_store(h, n->to);
	return error;
}

static int
exchange_names(struct handle *h, struct rename *n)
{
	int error = dir_set(h, n->to, &n->new_place, n->old->number, n->old->raw->mode);

	if (error == 0)
		error = dir_set(h, n->from, &n->old_place, n->new->number, n->new->raw->mode);
	if (error == 0)
		error = move_parent(h, n->old, n->from, n->to);
	if (error == 0)
		error = move_parent(h, n->new, n->to, n->from);
	if (error == 0) {
		inode_set_time(n->new, TIME_C, &n->job->request.now);
		error = inode_store(h, n->new);
	}
	return error;
}

static int
move_name(struct handle *h, struct rename *n)
{
	struct fs *fs = n->fs;
	int error;

	if (n->new != NULL)
		error = dir_set(h, n->to, &n->new_place, n->old->number, n->old->raw->mode);
	else
		error = dir_add(h, n->to, n->new_name, n->new_length, n->old->number, n->old->raw->mode);
	if (error != 0)
		return error;
	/* adding may have moved it */
	buffer_put(fs, n->old_place.buffer);
	n->old_place.buffer = NULL;
	error = dir_find(n->from, n->old_name, n->old_length, &n->old_place);
	if (error != 0)
		return fs_error(fs, -ECORRUPT, "directory %u: a name is lost in a rename", n->from->number);
	error = dir_remove(h, n->from, &n->old_place);
	if (error == 0)
		error = move_parent(h, n->old, n->from, n->to);
	if (error == 0 && n->new != NULL) {
		error = drop_name(h, n->new, &n->job->request.now);
		if (error == 0 && inode_is_dir(n->new))
			dir_link_remove(n->to);
	}
	return error;
}

static int
rename_found(struct rename *n)
{
	struct fs *fs = n->fs;
	struct handle h;
	int error;

	if (n->new == n->old)
		return 0;	/* two names of one inode: nothing to do */
	error = rename_check(n);
	/* checked before the transaction, so that it need not be undone */
	if (error == 0 && inode_is_dir(n->old) && n->from != n->to && n->new == NULL)
		error = dir_link_room(n->to);
	if (error == 0)
		error = journal_start(fs, RENAME_CREDITS, &h);
	if (error != 0)
		return error;
	if ((n->job->request.flags & RENAME_EXCHANGE_FLAG) != 0)
		error = exchange_names(&h, n);
	else
		error = move_name(&h, n);
	if (error == 0)
		error = store_renamed(&h, n);
	if (error == 0) {
		n->job->answer.made = dir_cookie(n->to, n->new_name, n->new_length);
		n->job->answer.gone = dir_cookie(n->from, n->old_name, n->old_length);
	}
	n->job->answer.transaction = h.transaction->id;
	journal_stop(&h);
	if (error == 0 && n->new != NULL)
		inode_attributes(n->new, &n->job->answer.attributes);
	return error;
}

static int
rename_locked(struct rename *n)
{
	int error = find_inode(n->from, n->old_name, n->old_length, &n->old_place, &n->old);

	if (error != 0)
		return error;
	error = find_inode(n->to, n->new_name, n->new_length, &n->new_place, &n->new);
	if (error == -ENOENT) {
		n->new = NULL;
		n->new_place.buffer = NULL;
		error = 0;
	}
	if (error == 0) {
		error = rename_found(n);
		buffer_put(n->fs, n->new_place.buffer);
		inode_put(n->new);
	}
	buffer_put(n->fs, n->old_place.buffer);
	inode_put(n->old);
	return error;
}

static int64_t
op_rename(struct fs *fs, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	struct rename n = { .fs = fs, .job = job };
	size_t next;
	int error = take_name(job->page, 0, &n.old_name, &n.old_length, &next);

	if (error == 0)
		error = take_name(job->page, next, &n.new_name, &n.new_length, &next);
	if (error == 0 && ((r->flags & ~3u) != 0 || (r->flags & 3) == 3))
		error = -EINVAL;
	if (error == 0 && (n.old_length == 0 || n.new_length == 0))
		error = -ENOENT;
	if (error == 0 && (is_dots(n.old_name, n.old_length) || is_dots(n.new_name, n.new_length)))
		error = -EBUSY;
	if (error == 0)
		error = get_dir(fs, r->inode, r->generation, &n.from);
	if (error != 0)
		return error;
	error = get_dir(fs, r->inode2, r->generation2, &n.to);
	if (error == 0) {
		/* alone: no other lock is needed, and the tree of directories stands still */
		lock_exclusive(&fs->names);
		error = rename_locked(&n);
		unlock(&fs->names);
		inode_put(n.to);
	}
	inode_put(n.from);
	return error;
}

int64_t
names_op(struct fs *fs, struct fs_job *job)
{
	switch (job->request.op) {
	case FS_LOOKUP:
		return op_lookup(fs, job);
	case FS_CREATE:
		return op_create(fs, job);
	case FS_LINK:
		return op_link(fs, job);
	case FS_UNLINK:
	case FS_RMDIR:
		return op_unlink(fs, job);
	case FS_RENAME:
		return op_rename(fs, job);
	case FS_READDIR:
		return op_readdir(fs, job);
	default:
		return -ENOSYS;
	}
}
