/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: behind the fields of the inode where there is room, and
 * in one block of their own, which several inodes may share (refcount) until
 * one of them changes it.
 */
#include "core.h"

enum { INDEX_USER = 1, INDEX_ACL_ACCESS, INDEX_ACL_DEFAULT, INDEX_TRUSTED, INDEX_SECURITY = 6,
	INDEX_SYSTEM = 7 };
enum { MAX_ATTRIBUTES = 512, NAME_MAX_BYTES = 255 };
enum { ACL_DISK_VERSION = 1, ACL_VERSION = 2, ACL_USER = 2, ACL_GROUP = 8 };

static const struct {
	uint8_t index;
	bool whole;			/* the prefix is the name */
	const char *prefix;
} prefixes[] = {
	{ INDEX_USER, false, "user." },
	{ INDEX_ACL_ACCESS, true, "system.posix_acl_access" },
	{ INDEX_ACL_DEFAULT, true, "system.posix_acl_default" },
	{ INDEX_TRUSTED, false, "trusted." },
	{ INDEX_SECURITY, false, "security." },
	{ INDEX_SYSTEM, false, "system." },
};
enum { PREFIXES = sizeof prefixes / sizeof prefixes[0] };

struct attribute {
	uint8_t index, name_len;
	bool in_inode;
	const char *name;
	const uint8_t *value;
	uint32_t size;
};

struct set {
	uint32_t count;
	struct attribute attribute[MAX_ATTRIBUTES];
};

/* ---- names ------------------------------------------------------------------------------ */

static int
split_name(const char *full, uint8_t *index, const char **name, size_t *length)
{
	for (unsigned i = 0; i < PREFIXES; i++) {
		size_t n = strlen(prefixes[i].prefix);

		if (strncmp(full, prefixes[i].prefix, n) != 0 || (prefixes[i].whole && full[n] != '\0'))
			continue;
		*index = prefixes[i].index;
		*name = full + n;
		*length = strlen(full + n);
		if (*length > NAME_MAX_BYTES)
			return -ERANGE;
		return *length == 0 && !prefixes[i].whole ? -EINVAL : 0;
	}
	return -EOPNOTSUPP;
}

static const char *
prefix_of(uint8_t index)
{
	for (unsigned i = 0; i < PREFIXES; i++)
		if (prefixes[i].index == index)
			return prefixes[i].prefix;
	return NULL;
}

/* ---- reading what is there ------------------------------------------------------------------ */

static uint32_t
entry_bytes(size_t name_len)
{
	return (uint32_t)(sizeof(struct ext4_xattr_entry) + name_len + 3) & ~3u;
}

static uint32_t
value_bytes(uint32_t size)
{
	return (size + 3) & ~3u;
}

/*
 * The entries in [start, end); values are named from base on.  False: they are
 * not what they should be.
 */
static bool
parse(struct set *set, const uint8_t *start, const uint8_t *end, const uint8_t *base, bool in_inode)
{
	const uint8_t *at = start;
	struct ext4_xattr_entry e;
	uint32_t word;

	for (;;) {
		if ((size_t)(end - at) < 4)
			return false;
		memcpy(&word, at, 4);
		if (word == 0)
			return true;
		if ((size_t)(end - at) < sizeof e || set->count == MAX_ATTRIBUTES)
			return false;
		memcpy(&e, at, sizeof e);
		if ((size_t)(end - at) < entry_bytes(e.name_len) || e.value_inode != 0)
			return false;
		if (e.value_size != 0 && (e.value_size > (size_t)(end - base) ||
		    e.value_offset > (size_t)(end - base) - e.value_size))
			return false;
		set->attribute[set->count++] = (struct attribute){ e.name_index, e.name_len, in_inode,
			(const char *)at + sizeof e, e.value_size == 0 ? base : base + e.value_offset,
			e.value_size };
		at += entry_bytes(e.name_len);
	}
}

/* The room behind the inode's fields; null: there is none. */
static uint8_t *
inode_room(struct inode *inode, uint32_t *bytes)
{
	uint32_t from = INODE_BASE + inode->raw->extra_isize;

	if (inode->fs->inode_bytes <= INODE_BASE || inode->raw->extra_isize == 0 ||
	    from + 8 > inode->fs->inode_bytes)
		return NULL;
	*bytes = inode->fs->inode_bytes - from;
	return (uint8_t *)inode->raw + from;
}

static int
bad(struct inode *inode, const char *what)
{
	return fs_error(inode->fs, -ECORRUPT, "inode %u: extended attributes: %s", inode->number, what);
}

static uint32_t
block_sum(struct fs *fs, const struct buffer *b)
{
	const size_t at = offsetof(struct ext4_xattr_header, checksum);
	uint64_t number = b->block;
	uint32_t zero = 0, sum = crc32c(fs->sum_seed, &number, 8);

	sum = crc32c(sum, b->data, at);
	sum = crc32c(sum, &zero, 4);
	return crc32c(sum, b->data + at + 4, fs->block_bytes - at - 4);
}

void
xattr_sum(struct fs *fs, struct buffer *b)
{
	if (fs->sums)
		((struct ext4_xattr_header *)(void *)b->data)->checksum = block_sum(fs, b);
}

static int
read_block(struct inode *inode, struct buffer **buffer)
{
	struct fs *fs = inode->fs;
	uint64_t block = inode_xattr_block(inode);
	const struct ext4_xattr_header *head;
	struct buffer *b;
	int error;

	if (!blocks_ok(fs, block, 1))
		return bad(inode, "the number of their block");
	error = buffer_read(fs, block, &b);
	if (error != 0)
		return error;
	head = (const struct ext4_xattr_header *)(void *)b->data;
	if (!b->verified || b->sum != SUM_XATTR) {
		if (head->magic != XATTR_MAGIC || head->blocks != 1 || head->refcount == 0)
			error = bad(inode, "the head of their block");
		else if (fs->sums && head->checksum != block_sum(fs, b))
			error = bad(inode, "the checksum of their block");
		if (error != 0) {
			buffer_put(fs, b);
			return error;
		}
		b->verified = true;
		b->sum = SUM_XATTR;
	}
	*buffer = b;
	return 0;
}

/* Copies of both places, so that what is parsed stays while they change. */
struct copies {
	struct set set;
	uint8_t inode[4096], block[4096];
	bool has_block;
};

static int
load(struct inode *inode, struct copies *c)
{
	struct fs *fs = inode->fs;
	uint32_t bytes, magic;
	uint8_t *room = inode_room(inode, &bytes);
	struct buffer *b;
	int error;

	c->set.count = 0;
	c->has_block = false;
	if (room != NULL) {
		memcpy(&magic, room, 4);
		memcpy(c->inode, room, bytes);
		if (magic == (uint32_t)XATTR_MAGIC &&
		    !parse(&c->set, c->inode + 4, c->inode + bytes, c->inode + 4, true))
			return bad(inode, "entries in the inode");
	}
	if (inode_xattr_block(inode) == 0)
		return 0;
	error = read_block(inode, &b);
	if (error != 0)
		return error;
	memcpy(c->block, b->data, fs->block_bytes);
	buffer_put(fs, b);
	c->has_block = true;
	if (!parse(&c->set, c->block + sizeof(struct ext4_xattr_header), c->block + fs->block_bytes,
	    c->block, false))
		return bad(inode, "entries of the block");
	return 0;
}

static struct attribute *
find(struct set *set, uint8_t index, const char *name, size_t length)
{
	for (uint32_t i = 0; i < set->count; i++) {
		struct attribute *a = &set->attribute[i];

		if (a->index == index && a->name_len == length && memcmp(a->name, name, length) == 0)
			return a;
	}
	return NULL;
}

/* ---- ACLs have another form on the disk -------------------------------------------------------- */

static bool
is_acl(uint8_t index)
{
	return index == INDEX_ACL_ACCESS || index == INDEX_ACL_DEFAULT;
}

static bool
acl_has_id(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* Returns the length, or -EINVAL, -ERANGE. */
static int64_t
acl_from_disk(const uint8_t *from, uint32_t size, uint8_t *to, size_t room)
{
	uint32_t version, at = 4;
	size_t used = 4;
	uint16_t tag;

	if (size < 4)
		return -EINVAL;
	memcpy(&version, from, 4);
	if (version != ACL_DISK_VERSION || room < 4)
		return -EINVAL;
	version = ACL_VERSION;
	memcpy(to, &version, 4);
	while (at < size) {
		if (size - at < 4)
			return -EINVAL;
		memcpy(&tag, from + at, 2);
		if (acl_has_id(tag) && size - at < 8)
			return -EINVAL;
		if (room - used < 8)
			return -ERANGE;
		memset(to + used, 0xff, 8);
		memcpy(to + used, from + at, acl_has_id(tag) ? 8 : 4);
		used += 8;
		at += acl_has_id(tag) ? 8 : 4;
	}
	return (int64_t)used;
}

static int64_t
acl_to_disk(const uint8_t *from, size_t size, uint8_t *to, size_t room)
{
	uint32_t version;
	size_t used = 4, n;
	uint16_t tag;

	if (size < 4 || (size - 4) % 8 != 0 || room < size)
		return -EINVAL;
	memcpy(&version, from, 4);
	if (version != ACL_VERSION)
		return -EOPNOTSUPP;
	version = ACL_DISK_VERSION;
	memcpy(to, &version, 4);
	for (size_t at = 4; at < size; at += 8) {
		memcpy(&tag, from + at, 2);
		n = acl_has_id(tag) ? 8 : 4;
		memcpy(to + used, from + at, n);
		used += n;
	}
	return (int64_t)used;
}

/* ---- get, list ------------------------------------------------------------------------------------- */

int64_t
xattr_get(struct inode *inode, const char *full, uint8_t *value, size_t room)
{
	struct copies *c;
	const struct attribute *a;
	const char *name;
	uint8_t index;
	size_t length;
	int64_t result = split_name(full, &index, &name, &length);

	if (result != 0)
		return result;
	c = malloc(sizeof *c);
	if (c == NULL)
		return -ENOMEM;
	result = load(inode, c);
	if (result == 0) {
		a = find(&c->set, index, name, length);
		if (a == NULL) {
			result = -ENODATA;
		} else if (is_acl(index)) {
			result = acl_from_disk(a->value, a->size, value, room);
		} else if (a->size > room) {
			result = -ERANGE;
		} else {
			memcpy(value, a->value, a->size);
			result = a->size;
		}
	}
	free(c);
	return result;
}

int64_t
xattr_list(struct inode *inode, uint8_t *to, size_t room)
{
	struct copies *c = malloc(sizeof *c);
	size_t used = 0;
	int64_t result;

	if (c == NULL)
		return -ENOMEM;
	result = load(inode, c);
	for (uint32_t i = 0; result == 0 && i < c->set.count; i++) {
		const struct attribute *a = &c->set.attribute[i];
		const char *prefix = prefix_of(a->index);
		size_t n = prefix == NULL ? 0 : strlen(prefix);

		if (prefix == NULL)
			continue;
		if (n + a->name_len + 1 > room - used) {
			result = -ERANGE;
			break;
		}
		memcpy(to + used, prefix, n);
		memcpy(to + used + n, a->name, a->name_len);
		to[used + n + a->name_len] = '\0';
		used += n + a->name_len + 1;
	}
	free(c);
	return result != 0 ? result : (int64_t)used;
}

/* ---- set ----------------------------------------------------------------------------------------------- */

static int
attribute_order(const void *a, const void *b)
{
	const struct attribute *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

static uint32_t
bytes_needed(const struct set *set, bool in_inode)
{
	uint32_t n = 4;

	for (uint32_t i = 0; i < set->count; i++)
		if (set->attribute[i].in_inode == in_inode)
			n += entry_bytes(set->attribute[i].name_len) + value_bytes(set->attribute[i].size);
	return n;
}

static uint32_t
attribute_hash(const struct attribute *a)
{
	uint32_t hash = 0, word;

	for (uint32_t i = 0; i < a->name_len; i++)
		hash = hash << 5 ^ hash >> 27 ^ (uint8_t)a->name[i];
	for (uint32_t at = 0; at < a->size; at += 4) {
		word = 0;
		memcpy(&word, a->value + at, a->size - at < 4 ? a->size - at : 4);
		hash = hash << 16 ^ hash >> 16 ^ word;
	}
	return hash;
}

/* Entries from start on, values down from end; offsets count from base. */
static void
lay_out(const struct set *set, bool in_inode, uint8_t *start, uint8_t *end, uint8_t *base,
    uint32_t *hash)
{
	uint8_t *values = end;

	memset(start, 0, (size_t)(end - start));
	*hash = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct attribute *a = &set->attribute[i];
		struct ext4_xattr_entry e = { a->name_len, a->index, 0, 0, a->size, 0 };

		if (a->in_inode != in_inode)
			continue;
		if (a->size != 0) {
			values -= value_bytes(a->size);
			memcpy(values, a->value, a->size);
			e.value_offset = (uint16_t)(values - base);
		}
		if (!in_inode)
			e.hash = attribute_hash(a);
		*hash = *hash << 16 ^ *hash >> 16 ^ e.hash;
		memcpy(start, &e, sizeof e);
		memcpy(start + sizeof e, a->name, a->name_len);
		start += entry_bytes(a->name_len);
	}
}

static void
store_in_inode(struct inode *inode, const struct set *set)
{
	uint32_t bytes, hash, magic = (uint32_t)XATTR_MAGIC;
	uint8_t *room = inode_room(inode, &bytes);

	if (room == NULL)
		return;
	if (bytes_needed(set, true) == 4) {
		memset(room, 0, bytes);
		return;
	}
	memcpy(room, &magic, 4);
	lay_out(set, true, room + 4, room + bytes, room + 4, &hash);
}

/* Let go of the block: it is shared, or it is not needed any more. */
static int
release_block(struct handle *h, struct inode *inode)
{
	struct fs *fs = h->fs;
	struct ext4_xattr_header *head;
	struct buffer *b;
	int error = read_block(inode, &b);

	if (error != 0)
		return error;
	head = (struct ext4_xattr_header *)(void *)b->data;
	if (head->refcount > 1) {
		error = journal_access(h, b);
		if (error == 0)
			head->refcount--;
		buffer_put(fs, b);
	} else {
		uint64_t block = b->block;

		buffer_put(fs, b);
		error = blocks_free(h, block, 1, true);
	}
	if (error == 0) {
		inode_set_xattr_block(inode, 0);
		inode_add_blocks(inode, -1);
	}
	return error;
}

/* The inode's own block, for a change: the one that it has, or a new one. */
static int
own_block(struct handle *h, struct inode *inode, struct buffer **buffer)
{
	struct fs *fs = h->fs;
	struct buffer *old = NULL;
	uint64_t block;
	int error;

	if (inode_xattr_block(inode) != 0) {
		error = read_block(inode, &old);
		if (error != 0)
			return error;
		if (((struct ext4_xattr_header *)(void *)old->data)->refcount == 1) {
			error = journal_access(h, old);
			if (error != 0)
				buffer_put(fs, old);
			*buffer = old;
			return error;
		}
		buffer_put(fs, old);
	}
	error = block_new(h, inode->goal, &block);
	if (error != 0)
		return error;
	error = journal_new(h, block, buffer);
	if (error == 0 && inode_xattr_block(inode) != 0) {
		error = release_block(h, inode);
		if (error != 0)
			buffer_put(fs, *buffer);
	}
	if (error != 0) {
		blocks_free(h, block, 1, true);
		return error;
	}
	inode_set_xattr_block(inode, block);
	inode_add_blocks(inode, 1);
	return 0;
}

static int
store_in_block(struct handle *h, struct inode *inode, struct set *set)
{
	struct fs *fs = h->fs;
	struct ext4_xattr_header *head;
	struct buffer *b;
	int error;

	if (bytes_needed(set, false) == 4)
		return inode_xattr_block(inode) != 0 ? release_block(h, inode) : 0;
	qsort(set->attribute, set->count, sizeof set->attribute[0], attribute_order);
	error = own_block(h, inode, &b);
	if (error != 0)
		return error;
	head = (struct ext4_xattr_header *)(void *)b->data;
	memset(head, 0, sizeof *head);
	head->magic = (uint32_t)XATTR_MAGIC;
	head->refcount = head->blocks = 1;
	lay_out(set, false, b->data + sizeof *head, b->data + fs->block_bytes, b->data, &head->hash);
	b->sum = SUM_XATTR;
	b->verified = true;
	buffer_put(fs, b);
	return 0;
}

/* Where the new attribute goes: the inode if it fits, else the block. */
static int
place(struct inode *inode, struct set *set, struct attribute *a)
{
	struct fs *fs = inode->fs;
	uint32_t bytes;

	a->in_inode = true;
	if (inode_room(inode, &bytes) != NULL && bytes_needed(set, true) <= bytes - 4)
		return 0;
	a->in_inode = false;
	if (bytes_needed(set, false) <= fs->block_bytes - sizeof(struct ext4_xattr_header))
		return 0;
	return -ENOSPC;
}

static int
change(struct inode *inode, struct copies *c, const struct attribute *new, bool remove, unsigned flags)
{
	struct set *set = &c->set;
	struct attribute *a = find(set, new->index, new->name, new->name_len);

	if (a == NULL && (remove || (flags & XATTR_CHANGE) != 0))
		return -ENODATA;
	if (a != NULL && !remove && (flags & XATTR_MAKE) != 0)
		return -EEXIST;
	if (remove) {
		*a = set->attribute[--set->count];
		return 0;
	}
	if (a == NULL) {
		if (set->count == MAX_ATTRIBUTES)
			return -ENOSPC;
		a = &set->attribute[set->count++];
	}
	*a = *new;
	return place(inode, set, a);
}

int
xattr_set(struct handle *h, struct inode *inode, const char *full, const uint8_t *value,
    size_t bytes, bool remove, unsigned flags)
{
	struct attribute new = { .value = value, .size = (uint32_t)bytes };
	struct copies *c;
	uint8_t *acl = NULL;
	size_t length;
	int64_t n;
	int error = split_name(full, &new.index, &new.name, &length);

	if (error != 0)
		return error;
	new.name_len = (uint8_t)length;
	if (bytes > inode->fs->block_bytes)
		return -ENOSPC;
	c = malloc(sizeof *c + FS_SLOT_BYTES);
	if (c == NULL)
		return -ENOMEM;
	acl = (uint8_t *)(c + 1);
	if (is_acl(new.index) && !remove) {
		n = acl_to_disk(value, bytes, acl, FS_SLOT_BYTES);
		if (n < 0) {
			free(c);
			return (int)n;
		}
		new.value = acl;
		new.size = (uint32_t)n;
	}
	error = load(inode, c);
	if (error == 0)
		error = change(inode, c, &new, remove, flags);
	if (error == 0)
		error = store_in_block(h, inode, &c->set);
	if (error == 0) {
		store_in_inode(inode, &c->set);
		error = inode_store(h, inode);
	}
	free(c);
	return error;
}

int
xattr_drop(struct handle *h, struct inode *inode)
{
	return inode_xattr_block(inode) == 0 ? 0 : release_block(h, inode);
}
