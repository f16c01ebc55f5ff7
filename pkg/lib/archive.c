// SPDX-License-Identifier: MIT
/*
 * Package files: a pax archive under zstd, read front to back once.  The first
 * member is the manifest, the second its signatures, then each entry of the
 * manifest in its order.  A member that is not exactly the next entry ends the
 * reading, so duplicates, strangers and paths that lead elsewhere have no way in.
 *
 * zstd's part is done here and not by libarchive: one decoder, with its megabytes
 * of window, serves all packages one after another, and what it decodes goes to
 * hash and disk from where it lies.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "hash.h"
#include "package.h"

enum { SIGNATURES_MAX = 65536, PACKED = 1 << 16, PLAIN = 1 << 17, WAITING = 64 };

/* A file's content on its way; what arrived of it is hashed with that of others. */
struct content {
	struct hash hash;
	const struct entry *entry;
	bool whole;
};

/*
 * What was delivered from `plain` and is not hashed yet: it lies there until more
 * is decoded, and by then there is enough of it to be hashed side by side.
 */
struct waiting {
	struct content contents[WAITING];	/* all but the last one are whole */
	struct hash_part parts[WAITING];
	size_t content_count, part_count;
	const struct entry *wrong;	/* the first whose hash is not the manifest's */
};

struct decoder {
	ZSTD_DStream *z;
	int fd;
	bool within;		/* a frame that has not ended */
	ZSTD_inBuffer in;
	uint8_t packed[PACKED], plain[PLAIN];
	struct waiting waiting;
};

struct package_file {
	struct archive *a;
	struct manifest m;
	char *where;
	size_t next;
	uint8_t hash[HASH_SIZE];	/* of the manifest's text */
	struct decoder *decoder;
};

/* The one that the next package takes, if no other is at work. */
static struct decoder *spare;

static struct decoder *
decoder_take(int fd)
{
	struct decoder *d = spare != NULL ? spare : mem_alloc(sizeof(*d));

	spare = NULL;
	if (d->z == NULL)
		d->z = ZSTD_createDStream();
	d->fd = fd;
	d->within = false;
	d->in = (ZSTD_inBuffer){d->packed, 0, 0};
	d->waiting.content_count = d->waiting.part_count = 0;
	d->waiting.wrong = NULL;
	return d;
}

static void
content_end(struct waiting *w, struct content *c)
{
	uint8_t hash[HASH_SIZE];

	hash_end(&c->hash, hash);
	if (memcmp(hash, c->entry->hash, HASH_SIZE) != 0 && w->wrong == NULL)
		w->wrong = c->entry;
}

/* Hashes what waits.  Only a content that is not whole stays. */
static void
settle(struct waiting *w)
{
	size_t n = w->content_count;

	hash_add(w->parts, w->part_count);
	w->part_count = w->content_count = 0;
	for (size_t i = 0; i < n; i++) {
		if (w->contents[i].whole)
			content_end(w, &w->contents[i]);
		else
			w->contents[w->content_count++] = w->contents[i];
	}
}

static void
content_begin(struct waiting *w, const struct entry *e)
{
	if (w->content_count == WAITING)
		settle(w);
	struct content *c = &w->contents[w->content_count++];

	c->entry = e;
	c->whole = false;
	hash_start(&c->hash);
}

/* The next bytes of the last content. */
static void
content_add(struct decoder *d, const void *bytes, size_t n)
{
	struct waiting *w = &d->waiting;

	if (w->part_count == WAITING)
		settle(w);
	w->parts[w->part_count++] = (struct hash_part){&w->contents[w->content_count - 1].hash, bytes, n};
	/* libarchive's own copy of what lay across two pieces may change at any time. */
	if ((uintptr_t)bytes - (uintptr_t)d->plain >= PLAIN)
		settle(w);
}

static void
decoder_give(struct decoder *d)
{
	close(d->fd);
	if (spare == NULL) {
		spare = d;
		return;
	}
	ZSTD_freeDStream(d->z);
	free(d);
}

static la_ssize_t
decode_failed(struct archive *a, int number, const char *why)
{
	archive_set_error(a, number, "%s", why);
	return -1;
}

/* More of the file; false at its end, and errno not 0 if it cannot be read. */
static bool
decoder_refill(struct decoder *d)
{
	ssize_t n;

	errno = 0;
	do
		n = read(d->fd, d->packed, PACKED);
	while (n < 0 && errno == EINTR);
	d->in = (ZSTD_inBuffer){d->packed, n > 0 ? (size_t)n : 0, 0};
	return n > 0;
}

/* libarchive's reader: the next decoded bytes, 0 at the end. */
static la_ssize_t
decode(struct archive *a, void *context, const void **bytes)
{
	struct decoder *d = context;
	ZSTD_outBuffer out = {d->plain, PLAIN, 0};

	settle(&d->waiting);
	*bytes = d->plain;
	while (out.pos == 0) {
		if (d->in.pos == d->in.size && !decoder_refill(d)) {
			if (errno != 0)
				return decode_failed(a, errno, strerror(errno));
			if (!d->within)
				return 0;
			/* What is decoded and not yet told comes without more input. */
		}
		size_t before = d->in.pos, left = ZSTD_decompressStream(d->z, &out, &d->in);

		if (ZSTD_isError(left))
			return decode_failed(a, EILSEQ, ZSTD_getErrorName(left));
		if (out.pos == 0 && d->in.pos == before && d->in.pos == d->in.size && left != 0)
			return decode_failed(a, EILSEQ, "it ends early");
		d->within = left != 0;
	}
	return (la_ssize_t)out.pos;
}

static int
broken(const struct package_file *p, struct fault *f, const char *what)
{
	const char *why = archive_error_string(p->a);

	return fault_set(f, PKG_CORRUPT, "%s is damaged (%s%s%s); fetch it again", p->where, what,
	    why ? ": " : "", why ? why : "");
}

/* The next bytes of a member, of which so many came before: a hole is none of ours. */
static int
next_block(struct package_file *p, uint64_t before, const void **bytes, size_t *n)
{
	la_int64_t at;
	int result = archive_read_data_block(p->a, bytes, n, &at);

	if (result != ARCHIVE_OK || *n == 0)
		return result;
	return (uint64_t)at == before ? ARCHIVE_OK : ARCHIVE_FATAL;
}

/* A member of a fixed name, in memory. */
static int
read_member(struct package_file *p, const char *name, size_t max, struct buffer *b, struct fault *f)
{
	struct archive_entry *e;
	const char *path;

	if (archive_read_next_header(p->a, &e) != ARCHIVE_OK)
		return broken(p, f, "no package");
	path = archive_entry_pathname(e);
	if (path == NULL || strcmp(path, name) != 0 || archive_entry_filetype(e) != AE_IFREG)
		return broken(p, f, "no package: its manifest does not come first");
	if (archive_entry_size(e) < 0 || (uint64_t)archive_entry_size(e) > max)
		return broken(p, f, "a manifest too large");
	const void *bytes;
	size_t n;
	int result;

	while ((result = next_block(p, b->length, &bytes, &n)) == ARCHIVE_OK) {
		if (n > max - b->length)
			return broken(p, f, "a manifest too large");
		buffer_add(b, bytes, n);
	}
	if (result != ARCHIVE_EOF)
		return broken(p, f, "manifest");
	buffer_add(b, "", 0);
	return 0;
}

/* From the start of the file to behind the manifest and its signatures. */
static int
read_front(struct package_file *p, struct buffer *text, struct buffer *signatures, struct fault *f)
{
	int fd = open(p->where, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fault_errno(f, "cannot open %s", p->where);
	p->decoder = decoder_take(fd);
	p->a = archive_read_new();
	p->next = 0;
	if (p->decoder->z == NULL || ZSTD_isError(ZSTD_initDStream(p->decoder->z)))
		return fault_set(f, PKG_FAILED, "zstd has no memory");
	if (p->a == NULL || archive_read_support_format_tar(p->a) != ARCHIVE_OK)
		return fault_set(f, PKG_FAILED, "libarchive does not read tar");
	if (archive_read_open(p->a, p->decoder, NULL, decode, NULL) != ARCHIVE_OK)
		return broken(p, f, "no package");
	int status = read_member(p, "+MANIFEST", MANIFEST_MAX, text, f);

	return status ? status : read_member(p, "+SIGNATURE", SIGNATURES_MAX, signatures, f);
}

int
package_open(struct package_file **out, const char *path, const struct keys *keys, struct fault *f)
{
	struct package_file *p = mem_alloc(sizeof(*p));
	struct buffer text = {0}, signatures = {0};

	p->where = text_dup(path);
	int status = read_front(p, &text, &signatures, f);

	/* First the signature: what nobody trusted wrote is not even parsed. */
	if (status == 0 && keys != NULL)
		status = signature_check(keys, signatures.data, text.data, text.length, path, f);
	if (status == 0)
		status = manifest_parse(&p->m, text.data, text.length, MANIFEST_WHOLE, path, f);
	if (status == 0)
		crypto_generichash(p->hash, HASH_SIZE, (const uint8_t *)text.data, text.length, NULL, 0);
	buffer_free(&text);
	buffer_free(&signatures);
	if (status != 0) {
		package_close(p);
		p = NULL;
	}
	*out = p;
	return status;
}

void
package_rest(struct package_file *p)
{
	archive_read_free(p->a);
	if (p->decoder != NULL)
		decoder_give(p->decoder);
	p->a = NULL;
	p->decoder = NULL;
}

int
package_wake(struct package_file *p, struct fault *f)
{
	struct buffer text = {0}, signatures = {0};
	uint8_t hash[HASH_SIZE];

	package_rest(p);
	int status = read_front(p, &text, &signatures, f);

	if (status == 0) {
		crypto_generichash(hash, HASH_SIZE, (const uint8_t *)text.data, text.length, NULL, 0);
		if (memcmp(hash, p->hash, HASH_SIZE) != 0)
			status = fault_set(f, PKG_CORRUPT, "%s was replaced meanwhile; run the command again", p->where);
	}
	buffer_free(&text);
	buffer_free(&signatures);
	return status;
}

const struct manifest *
package_manifest(const struct package_file *p)
{
	return &p->m;
}

static bool
same_path(const char *member, const char *path)
{
	size_t n = strlen(path);

	return member != NULL && strncmp(member, path, n) == 0 &&
	    (member[n] == '\0' || (member[n] == '/' && member[n + 1] == '\0'));
}

static int
other_content(const struct package_file *p, struct fault *f)
{
	return fault_set(f, PKG_CORRUPT, "%s is damaged: the content of %s is not what was signed; fetch it again", p->where,
	    p->decoder->waiting.wrong->path);
}

int
package_next(struct package_file *p, const struct entry **out, struct fault *f)
{
	struct archive_entry *ae;
	int result = archive_read_next_header(p->a, &ae);

	*out = NULL;
	if (result == ARCHIVE_EOF)
		settle(&p->decoder->waiting);
	if (p->decoder->waiting.wrong != NULL)
		return other_content(p, f);
	if (result == ARCHIVE_EOF)
		return p->next == p->m.entry_count ? 0 : broken(p, f, "files are missing");
	if (result != ARCHIVE_OK)
		return broken(p, f, "archive");
	if (p->next == p->m.entry_count)
		return broken(p, f, "a file that the manifest does not know");
	const struct entry *e = &p->m.entries[p->next++];
	unsigned type = e->type == ENTRY_DIR ? AE_IFDIR : e->type == ENTRY_LINK ? AE_IFLNK : AE_IFREG;

	if (!same_path(archive_entry_pathname(ae), e->path) || archive_entry_filetype(ae) != type ||
	    archive_entry_hardlink(ae) != NULL)
		return fault_set(f, PKG_CORRUPT, "%s is damaged: where %s should be is something else", p->where,
		    e->path);
	if (e->type == ENTRY_LINK &&
	    (archive_entry_symlink(ae) == NULL || strcmp(archive_entry_symlink(ae), e->target) != 0))
		return fault_set(f, PKG_CORRUPT, "%s is damaged: the link %s is not the manifest's", p->where,
		    e->path);
	if (e->type == ENTRY_FILE && (uint64_t)archive_entry_size(ae) != e->size)
		return fault_set(f, PKG_CORRUPT, "%s is damaged: %s has another size than the manifest says",
		    p->where, e->path);
	*out = e;
	return 0;
}

/* To a file, to memory, or (-1, NULL) nowhere. */
static int
read_content(struct package_file *p, const struct entry *e, int fd, struct buffer *text, struct fault *f)
{
	struct waiting *w = &p->decoder->waiting;
	uint64_t left = e->size;
	const void *bytes;
	size_t n;
	int result;

	content_begin(w, e);
	while ((result = next_block(p, e->size - left, &bytes, &n)) == ARCHIVE_OK) {
		if (n > left)
			return broken(p, f, "more data than the manifest says");
		left -= n;
		content_add(p->decoder, bytes, n);
		if (fd >= 0 && write_all(fd, bytes, n) != 0)
			return fault_errno(f, "cannot write the new %s", e->path);
		if (text != NULL)
			buffer_add(text, bytes, n);
	}
	if (result != ARCHIVE_EOF)
		return broken(p, f, e->path);
	/* One that is too short has another hash. */
	w->contents[w->content_count - 1].whole = true;
	return 0;
}

int
package_data(struct package_file *p, const struct entry *e, int fd, struct fault *f)
{
	return read_content(p, e, fd, NULL, f);
}

int
package_text(struct package_file *p, const struct entry *e, struct buffer *text, struct fault *f)
{
	buffer_add(text, "", 0);
	int status = read_content(p, e, -1, text, f);

	/* Its reader takes it for what was signed. */
	settle(&p->decoder->waiting);
	return status == 0 && p->decoder->waiting.wrong != NULL ? other_content(p, f) : status;
}

int
package_header(const char *path, const struct keys *keys, struct manifest *m, struct fault *f)
{
	struct package_file *p;
	struct buffer b = {0};
	int status = package_open(&p, path, keys, f);

	memset(m, 0, sizeof(*m));
	if (status != 0)
		return status;
	manifest_write(&b, &p->m, false);
	status = manifest_parse(m, b.data, b.length, MANIFEST_HEADER, path, f);
	buffer_free(&b);
	package_close(p);
	return status;
}

void
package_close(struct package_file *p)
{
	if (p == NULL)
		return;
	package_rest(p);
	manifest_free(&p->m);
	free(p->where);
	free(p);
}
