// SPDX-License-Identifier: MIT
/*
 * A repository's index: one zstd file, signature lines, an empty line, then the
 * signed body.  The serial only grows, and after its expiry an index is not used,
 * so neither an old nor a frozen one passes for the newest.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "package.h"

enum { PACKAGES_MAX = 1000000, DAY = 24 * 3600 };

/* The next line without its end; NULL at the end of the text. */
static char *
next_line(char **at)
{
	char *line = *at;
	char *newline = *line == '\0' ? NULL : strchr(line, '\n');

	if (newline == NULL)
		return NULL;
	*newline = '\0';
	*at = newline + 1;
	return line;
}

static bool
read_number(char **at, const char *key, uint64_t *value)
{
	char *line = next_line(at);
	size_t n = strlen(key);

	return line != NULL && strncmp(line, key, n) == 0 && number_parse(line + n, 10, 1ULL << 60, value);
}

/* "advisory ID DEP TEXT" */
static int
read_advisory(struct index *i, char *line, const char *where, struct fault *f)
{
	char *save = NULL, *id = strtok_r(line + 9, " ", &save), *dep = strtok_r(NULL, " ", &save);

	if (id == NULL || dep == NULL || !dep_is_valid(dep) || save == NULL || *save == '\0')
		return fault_set(f, PKG_CORRUPT, "%s: a broken advisory", where);
	i->advisories = mem_grow(i->advisories, i->advisory_count + 1, sizeof(*i->advisories));
	i->advisories[i->advisory_count++] =
	    (struct advisory){.id = text_dup(id), .dep = text_dup(dep), .text = text_dup(save)};
	return 0;
}

static int
read_package(struct index *i, const char *text, size_t length, const char *where, struct fault *f)
{
	if ((i->count & (i->count - 1)) == 0)
		i->packages = mem_grow(i->packages, i->count ? 2 * i->count : 1, sizeof(*i->packages));
	struct manifest *m = &i->packages[i->count++];
	int status = i->count > PACKAGES_MAX ? fault_set(f, PKG_CORRUPT, "%s: too many packages", where) :
	    manifest_parse(m, text, length, MANIFEST_HEADER, where, f);

	if (i->count > PACKAGES_MAX)
		memset(m, 0, sizeof(*m));
	if (status == 0 && m->file == NULL)
		status = fault_set(f, PKG_CORRUPT, "%s: %s has no file", where, m->name);
	return status;
}

int
index_parse(struct index *i, const char *text, size_t length, const char *where, struct fault *f)
{
	char *copy = mem_alloc(length + 1), *at = copy;
	int status = 0;

	memset(i, 0, sizeof(*i));
	memcpy(copy, text, length);
	char *first = next_line(&at);

	if (memchr(text, '\0', length) != NULL || first == NULL || strcmp(first, "index 1") != 0 ||
	    !read_number(&at, "serial ", &i->serial) || !read_number(&at, "created ", &i->created) ||
	    !read_number(&at, "expires ", &i->expires))
		status = fault_set(f, PKG_CORRUPT, "%s is no index of a repository (version 1)", where);
	while (status == 0 && *at != '\0') {
		if (strncmp(at, "advisory ", 9) == 0) {
			char *line = next_line(&at);

			status = line ? read_advisory(i, line, where, f) :
			    fault_set(f, PKG_CORRUPT, "%s ends within a line", where);
			continue;
		}
		/* One package: up to the line "end". */
		char *end = strstr(at, "\nend\n");

		if (strncmp(at, "package ", 8) != 0 || end == NULL) {
			status = fault_set(f, PKG_CORRUPT, "%s: after package %zu comes something unknown", where,
			    i->count);
			break;
		}
		status = read_package(i, at, (size_t)(end + 1 - at), where, f);
		at = end + 5;
	}
	free(copy);
	return status;
}

void
index_free(struct index *i)
{
	for (size_t n = 0; n < i->count; n++)
		manifest_free(&i->packages[n]);
	for (size_t n = 0; n < i->advisory_count; n++) {
		free(i->advisories[n].id);
		free(i->advisories[n].dep);
		free(i->advisories[n].text);
	}
	free(i->packages);
	free(i->advisories);
	memset(i, 0, sizeof(*i));
}

static int
unpack(struct buffer *text, const struct buffer *packed, const char *where, struct fault *f)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = {packed->data, packed->length, 0};
	char block[1 << 16];
	size_t left = 1;
	int status = z == NULL ? fault_set(f, PKG_FAILED, "zstd has no memory") : 0;

	while (status == 0 && left != 0) {
		ZSTD_outBuffer out = {block, sizeof(block), 0};

		left = ZSTD_decompressStream(z, &out, &in);
		if (ZSTD_isError(left) || (left != 0 && out.pos == 0 && in.pos == in.size))
			status = fault_set(f, PKG_CORRUPT, "%s is damaged: %s", where,
			    ZSTD_isError(left) ? ZSTD_getErrorName(left) : "it ends early");
		else if (out.pos > INDEX_MAX - text->length)
			status = fault_set(f, PKG_CORRUPT, "%s is larger than an index can be", where);
		else
			buffer_add(text, block, out.pos);
	}
	ZSTD_freeDStream(z);
	return status;
}

int
index_load(struct index *i, const char *path, const struct keys *keys, struct fault *f)
{
	struct buffer packed = {0}, text = {0};
	int status = file_read(path, INDEX_MAX, &packed, f);

	memset(i, 0, sizeof(*i));
	if (status == 0)
		status = unpack(&text, &packed, path, f);
	/* Signature lines, an empty line, the body. */
	char *gap = status == 0 ? memmem(text.data, text.length, "\n\n", 2) : NULL;

	if (status == 0 && gap == NULL)
		status = fault_set(f, PKG_UNTRUSTED, "%s is not signed", path);
	if (status == 0) {
		const char *body = gap + 2;
		size_t length = text.length - (size_t)(body - text.data);

		gap[1] = '\0';
		if (keys != NULL)
			status = signature_check(keys, text.data, body, length, path, f);
		if (status == 0)
			status = index_parse(i, body, length, path, f);
	}
	buffer_free(&packed);
	buffer_free(&text);
	return status;
}

static int
add_package(struct buffer *b, const char *folder, const char *file, struct fault *f)
{
	char *path = text_format("%s/%s", folder, file), hex[HASH_HEX];
	struct package_file *p = NULL;
	uint8_t hash[HASH_SIZE];
	uint64_t size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status = fd < 0 || hash_fd(fd, hash, &size) != 0 ? fault_errno(f, "cannot read %s", path) : 0;

	if (fd >= 0)
		close(fd);
	if (status == 0)
		status = package_open(&p, path, NULL, f);
	if (status == 0 && strchr(file, ' ') != NULL)
		status = fault_set(f, PKG_FAILED, "%s: no spaces in names of package files", path);
	if (status == 0) {
		hex_encode(hex, hash, HASH_SIZE);
		buffer_format(b, "package %s %llu %s\n", file, (unsigned long long)size, hex);
		manifest_write(b, package_manifest(p), false);
		buffer_text(b, "end\n");
	}
	package_close(p);
	free(path);
	return status;
}

static int
order_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
list_packages(struct list *files, const char *folder, struct fault *f)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	if (d == NULL)
		return fault_errno(f, "cannot open %s", folder);
	while ((e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name);

		if (n > 4 && e->d_name[0] != '.' && strcmp(e->d_name + n - 4, ".pkg") == 0)
			list_add(files, e->d_name);
	}
	closedir(d);
	if (files->count != 0)
		qsort(files->items, files->count, sizeof(*files->items), order_texts);
	return 0;
}

/* The folder's file `advisories`, lines "ID DEP TEXT", if there is one. */
static int
add_advisories(struct buffer *b, const char *folder, struct fault *f)
{
	char *path = text_format("%s/advisories", folder), *save = NULL;
	struct buffer text = {0};
	int status = access(path, F_OK) == 0 ? file_read(path, MANIFEST_MAX, &text, f) : 0;

	for (char *l = text.data ? strtok_r(text.data, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
		if (l[0] != '#')
			buffer_format(b, "advisory %s\n", l);
	}
	buffer_free(&text);
	free(path);
	return status;
}

int
index_write(const char *path, const struct buffer *body, const struct secret *s, struct fault *f)
{
	struct buffer whole = {0};

	signature_add(&whole, s, body->data, body->length);
	buffer_text(&whole, "\n");
	buffer_add(&whole, body->data, body->length);
	size_t room = ZSTD_compressBound(whole.length);
	char *packed = mem_alloc(room);
	size_t n = ZSTD_compress(packed, room, whole.data, whole.length, 12);
	int status = ZSTD_isError(n) ? fault_set(f, PKG_FAILED, "zstd: %s", ZSTD_getErrorName(n)) :
	    file_replace(path, packed, n, 0644, f);

	free(packed);
	buffer_free(&whole);
	return status;
}

int
index_build(const char *folder, const struct secret *s, uint64_t now, uint64_t days, struct index *made,
    struct fault *f)
{
	char *path = text_format("%s/index.zst", folder);
	struct buffer body = {0};
	struct list files = {0};
	/* Seconds: so an index made by another builder, later, is the newer one to those who saw the first. */
	uint64_t serial = now;
	int status = 0;

	memset(made, 0, sizeof(*made));
	if (access(path, F_OK) == 0) {
		struct index old;

		status = index_load(&old, path, NULL, f);
		if (serial <= old.serial)
			serial = old.serial + 1;
		index_free(&old);
	}
	if (status == 0)
		status = list_packages(&files, folder, f);
	buffer_format(&body, "index 1\nserial %llu\ncreated %llu\nexpires %llu\n", (unsigned long long)serial,
	    (unsigned long long)now, (unsigned long long)(now + days * DAY));
	for (size_t i = 0; status == 0 && i < files.count; i++)
		status = add_package(&body, folder, files.items[i], f);
	if (status == 0)
		status = add_advisories(&body, folder, f);
	/* Read back by the reader's rules before anybody else has to. */
	if (status == 0)
		status = index_parse(made, body.data, body.length, path, f);
	if (status == 0)
		status = index_write(path, &body, s, f);
	list_free(&files);
	buffer_free(&body);
	free(path);
	return status;
}
