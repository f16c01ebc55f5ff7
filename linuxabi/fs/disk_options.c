/* SPDX-License-Identifier: MIT */
/*
 * Mount options of ext4 (ext4(5)): what they mean here, which are refused, and
 * how /proc/mounts shows them.  Those that ask for less than is done anyway, or
 * tune what Linux's implementation has and ours has not, are taken and change
 * nothing; those whose promise would not be kept are refused by name.
 */
#include "disk.h"

enum shown {
	ERRORS_RO = 1, NOBARRIER = 2, NODELALLOC = 4, NO_AUTO_DA = 8, NOACL = 32, DATA_ORDERED = 64,
	DATA_WRITEBACK = 128, DISCARD = 256,
};

enum value { NONE, NUMBER, NUMBER_OR_NONE, SECONDS, ERRORS, DATA, ANY };

static const struct option {
	const char *name;
	enum value value;
	unsigned set, clear;		/* enum shown */
} options[] = {
	{ "discard", NONE, DISCARD, 0 }, { "nodiscard", NONE, 0, DISCARD },
	{ "commit", SECONDS, 0, 0 },
	{ "errors", ERRORS, ERRORS_RO, 0 },
	{ "data", DATA, 0, DATA_ORDERED | DATA_WRITEBACK },
	{ "barrier", NUMBER_OR_NONE, 0, NOBARRIER }, { "nobarrier", NONE, NOBARRIER, 0 },
	{ "user_xattr", NONE, 0, 0 },
	{ "acl", NONE, 0, NOACL }, { "noacl", NONE, NOACL, 0 },
	{ "delalloc", NONE, 0, NODELALLOC }, { "nodelalloc", NONE, NODELALLOC, 0 },
	{ "auto_da_alloc", NUMBER_OR_NONE, 0, NO_AUTO_DA }, { "noauto_da_alloc", NONE, NO_AUTO_DA, 0 },
	{ "bsddf", NONE, 0, 0 }, { "nogrpid", NONE, 0, 0 }, { "sysvgroups", NONE, 0, 0 }, { "nouid32", NONE, 0, 0 },
	{ "debug", NONE, 0, 0 }, { "oldalloc", NONE, 0, 0 }, { "orlov", NONE, 0, 0 }, { "bh", NONE, 0, 0 }, { "nobh", NONE, 0, 0 },
	{ "check", ANY, 0, 0 }, { "nocheck", NONE, 0, 0 }, { "noquota", NONE, 0, 0 },
	{ "lazytime", NONE, 0, 0 }, { "nolazytime", NONE, 0, 0 }, { "i_version", NONE, 0, 0 }, { "noi_version", NONE, 0, 0 },
	{ "min_batch_time", NUMBER, 0, 0 }, { "max_batch_time", NUMBER, 0, 0 }, { "journal_ioprio", NUMBER, 0, 0 },
	{ "journal_checksum", NONE, 0, 0 }, { "nojournal_checksum", NONE, 0, 0 }, { "journal_async_commit", NONE, 0, 0 },
	{ "dioread_nolock", NONE, 0, 0 }, { "nodioread_nolock", NONE, 0, 0 }, { "dioread_lock", NONE, 0, 0 },
	{ "stripe", NUMBER, 0, 0 }, { "inode_readahead_blks", NUMBER, 0, 0 },
	{ "init_itable", NUMBER_OR_NONE, 0, 0 }, { "noinit_itable", NONE, 0, 0 },
	{ "block_validity", NONE, 0, 0 }, { "noblock_validity", NONE, 0, 0 }, { "nombcache", NONE, 0, 0 },
	{ "no_mbcache", NONE, 0, 0 }, { "mb_optimize_scan", NUMBER, 0, 0 },
	{ "prefetch_block_bitmaps", NONE, 0, 0 }, { "no_prefetch_block_bitmaps", NONE, 0, 0 },
};

/* ext4's, but for what they ask there is nothing here. */
static const char *const refused[] = {
	"nouser_xattr", "minixdf", "grpid", "bsdgroups", "resuid", "resgid", "sb", "noload", "norecovery", "journal_dev", "journal_path",
	"abort", "data_err", "max_dir_size_kb", "test_dummy_encryption", "inlinecrypt", "dax", "usrjquota", "grpjquota",
	"jqfmt", "quota", "usrquota", "grpquota", "prjquota", "nomblk_io_submit", "mblk_io_submit", "fc_debug_force",
};

static long
refuse(const char *name, const char *value)
{
	klog(LOG_ERR, "ext4: mount option %s%s%s is not supported", name, value != NULL ? "=" : "", value != NULL ? value : "");
	return -EINVAL;
}

static long
bad_value(const char *name, const char *value)
{
	klog(LOG_ERR, "ext4: Bad value for '%s'%s%s", name, value != NULL ? ": " : "", value != NULL ? value : "");
	return -EINVAL;
}

static bool
number_of(const char *text, uint64_t *number)
{
	uint64_t n = 0;

	if (text == NULL || *text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || n > UINT32_MAX)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*number = n;
	return n <= INT32_MAX;
}

static long
take_number(struct disk_options *o, const struct option *what, const char *value)
{
	uint64_t n = 1;

	if (what->value == NONE ? value != NULL : !(value == NULL && what->value == NUMBER_OR_NONE) && !number_of(value, &n))
		return bad_value(what->name, value);
	if (what->value == SECONDS) {
		if (n > FS_COMMIT_MAX)
			return bad_value(what->name, value);
		o->commit = (uint32_t)n;
	}
	o->shown &= ~(what->set | what->clear);
	o->shown |= n == 0 ? what->clear : what->set;	/* barrier=0 is nobarrier */
	return 0;
}

static long
take_data(struct disk_options *o, const struct option *what, const char *value)
{
	bool ordered = value != NULL && strcmp(value, "ordered") == 0;

	/* more than data=writeback asks for; data=journal would ask for more */
	if (!ordered && (value == NULL || strcmp(value, "writeback") != 0))
		return value != NULL && strcmp(value, "journal") == 0 ? refuse(what->name, value) : bad_value(what->name, value);
	o->shown = (o->shown & ~what->clear) | (ordered ? DATA_ORDERED : DATA_WRITEBACK);
	return 0;
}

static long
take_errors(struct disk_options *o, const struct option *what, const char *value)
{
	if (value != NULL && (strcmp(value, "continue") == 0 || strcmp(value, "panic") == 0))
		return refuse(what->name, value);
	if (value == NULL || strcmp(value, "remount-ro") != 0)
		return bad_value(what->name, value);
	o->shown |= what->set;
	return 0;
}

static long
take(struct disk_options *o, const char *name, const char *value)
{
	for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(options[i].name, name) != 0)
			continue;
		switch (options[i].value) {
		case DATA:
			return take_data(o, &options[i], value);
		case ERRORS:
			return take_errors(o, &options[i], value);
		case ANY:
			return 0;
		default:
			return take_number(o, &options[i], value);
		}
	}
	for (unsigned i = 0; i < ARRAY_LEN(refused); i++)
		if (strcmp(refused[i], name) == 0)
			return refuse(name, value);
	klog(LOG_ERR, "ext4: Unknown parameter '%s'", name);
	return -EINVAL;
}

long
disk_options_parse(struct disk_options *o, const char *text)
{
	enum { WORD = 64 };

	while (text != NULL && *text != '\0') {
		char word[WORD], *value = NULL;
		size_t n = 0;

		while (text[n] != '\0' && text[n] != ',')
			n++;
		strlcpy(word, text, min(n + 1, sizeof(word)));
		for (char *c = word; *c != '\0' && value == NULL; c++)
			if (*c == '=') {
				*c = '\0';
				value = c + 1;
			}
		text += n + (text[n] == ',');
		if (n >= WORD)
			return bad_value(word, NULL);
		if (n != 0) {
			long r = take(o, word, value);

			if (r != 0)
				return r;
		}
	}
	return 0;
}

uint32_t
disk_options_flags(const struct disk_options *o)
{
	return (o->shown & DISCARD) != 0 ? FS_MOUNT_DISCARD : 0;
}

void
disk_options_text(const struct disk_options *o, char *to, size_t size)
{
	static const struct { enum shown bit; const char *text; } names[] = {
		{ NOACL, ",noacl" }, { ERRORS_RO, ",errors=remount-ro" },
		{ NOBARRIER, ",nobarrier" }, { DISCARD, ",discard" }, { NODELALLOC, ",nodelalloc" },
		{ NO_AUTO_DA, ",noauto_da_alloc" }, { DATA_ORDERED, ",data=ordered" }, { DATA_WRITEBACK, ",data=writeback" },
	};
	size_t n = 0;

	if (size != 0)
		*to = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if ((o->shown & names[i].bit) != 0 && n < size)
			n += strlcpy(to + n, names[i].text, size - n);
	if (o->commit != 0 && n < size)
		ksnprintf(to + n, size - n, ",commit=%u", o->commit);
}
