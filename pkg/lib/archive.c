// SPDX-License-Identifier: MIT
/*
 * Package files: a pax archive under zstd, read front to back once.  The first
 * member is the manifest, the second its signatures, then each entry of the
 * manifest in its order.  A member that is not exactly the next entry ends the
 * reading, so duplicates, strangers and paths that lead elsewhere have no way in.
 */
#include <archive.h>
#include <archive_entry.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "package.h"

enum { SIGNATURES_MAX = 65536, BLOCK = 1 << 16 };

struct package_file {
	struct archive *a;
	struct manifest m;
	char *where;
	size_t next;
	uint8_t hash[HASH_SIZE];	/* of the manifest's text */
	uint8_t *block;			/* BLOCK bytes */
};

static int
broken(const struct package_file *p, struct fault *f, const char *what)
{
	const char *why = archive_error_string(p->a);

	return fault_set(f, PKG_CORRUPT, "%s is damaged (%s%s%s); fetch it again", p->where, what,
	    why ? ": " : "", why ? why : "");
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
	for (;;) {
		la_ssize_t n = archive_read_data(p->a, p->block, BLOCK);

		if (n < 0)
			return broken(p, f, "manifest");
		if (n == 0)
			break;
		if ((size_t)n > max - b->length)
			return broken(p, f, "a manifest too large");
		buffer_add(b, p->block, (size_t)n);
	}
	buffer_add(b, "", 0);
	return 0;
}

/* From the start of the file to behind the manifest and its signatures. */
static int
read_front(struct package_file *p, struct buffer *text, struct buffer *signatures, struct fault *f)
{
	p->a = archive_read_new();
	p->block = mem_alloc(BLOCK);
	p->next = 0;
	if (p->a == NULL || archive_read_support_filter_zstd(p->a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(p->a) != ARCHIVE_OK)
		return fault_set(f, PKG_FAILED, "libarchive does not read zstd and tar");
	if (archive_read_open_filename(p->a, p->where, BLOCK) != ARCHIVE_OK)
		return access(p->where, R_OK) != 0 ? fault_errno(f, "cannot open %s", p->where) : broken(p, f, "no package");
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
	free(p->block);
	p->a = NULL;
	p->block = NULL;
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

int
package_next(struct package_file *p, const struct entry **out, struct fault *f)
{
	struct archive_entry *ae;
	int result = archive_read_next_header(p->a, &ae);

	*out = NULL;
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
	crypto_generichash_state state;
	uint8_t hash[HASH_SIZE];
	uint64_t left = e->size;

	crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
	for (;;) {
		la_ssize_t n = archive_read_data(p->a, p->block, BLOCK);

		if (n < 0)
			return broken(p, f, e->path);
		if (n == 0)
			break;
		if ((uint64_t)n > left)
			return broken(p, f, "more data than the manifest says");
		left -= (uint64_t)n;
		crypto_generichash_update(&state, p->block, (size_t)n);
		if (fd >= 0 && write_all(fd, p->block, (size_t)n) != 0)
			return fault_errno(f, "cannot write the new %s", e->path);
		if (text != NULL)
			buffer_add(text, p->block, (size_t)n);
	}
	crypto_generichash_final(&state, hash, HASH_SIZE);
	if (left != 0 || memcmp(hash, e->hash, HASH_SIZE) != 0)
		return fault_set(f, PKG_CORRUPT, "%s is damaged: the content of %s is not what was signed; fetch it again",
		    p->where, e->path);
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
	return read_content(p, e, -1, text, f);
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
