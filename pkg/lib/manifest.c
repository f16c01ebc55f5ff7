// SPDX-License-Identifier: MIT
/*
 * The manifest's text (pkg(5)): one fact a line, read strictly.  A line that is
 * not understood is an error with its number, never skipped.
 */
#include <stdlib.h>
#include <string.h>

#include "package.h"

enum { MODE_MAX = 07777, ID_MAX = 0x7fffffff };
#define SIZE_MAX_FILE (1ULL << 50)

struct reader {
	struct manifest *m;
	enum manifest_form form;
	const char *where;
	size_t line;
	struct fault *f;
};

static int
bad(const struct reader *r, const char *why, const char *what)
{
	return fault_set(r->f, PKG_CORRUPT, "%s line %zu: %s%s%.200s%s", r->where, r->line, why,
	    what ? " '" : "", what ? what : "", what ? "'" : "");
}

/* The next word of *s, which is cut off; NULL if there is none. */
static char *
word(char **s)
{
	char *start = *s;

	if (start == NULL || *start == '\0' || *start == ' ')
		return NULL;
	char *space = strchr(start, ' ');

	if (space != NULL)
		*space++ = '\0';
	*s = space;
	return start;
}

static int
read_once(struct reader *r, char **field, const char *value)
{
	if (*field != NULL)
		return bad(r, "said twice:", value);
	*field = text_dup(value);
	return 0;
}

static int
read_list(struct reader *r, struct list *l, const char *value)
{
	if (l->count >= MANIFEST_LIST_MAX)
		return bad(r, "too many lines of one kind", NULL);
	list_add(l, value);
	return 0;
}

static int
read_dep(struct reader *r, struct list *l, const char *value)
{
	if (!dep_is_valid(value))
		return bad(r, "no name or relation:", value);
	return read_list(r, l, value);
}

static int
read_path(struct reader *r, char *text)
{
	if (text == NULL || !path_unescape(text))
		return bad(r, "no path", text);
	if (!path_is_safe(text))
		return bad(r, "a package may not have the path", text);
	return 0;
}

static int
read_config(struct reader *r, char *value)
{
	return read_path(r, value) || read_list(r, &r->m->config, value);
}

/* "trigger PATH PROGRAM [ARGUMENT…]"; kept as text. */
static int
read_trigger(struct reader *r, char *value)
{
	char *whole = text_dup(value), *path = word(&value);
	char *program = word(&value);
	int status = 0;

	if (path == NULL || program == NULL || program[0] != '/' || !path_unescape(path) ||
	    !path_is_safe(path) || !path_is_safe(program + 1))
		status = bad(r, "a trigger is a path and a program, not", whole);
	if (status == 0)
		status = read_list(r, &r->m->triggers, whole);
	free(whole);
	return status;
}

static struct entry *
entry_new(struct manifest *m)
{
	if ((m->entry_count & (m->entry_count - 1)) == 0)
		m->entries = mem_grow(m->entries, m->entry_count ? 2 * m->entry_count : 1, sizeof(*m->entries));
	struct entry *e = &m->entries[m->entry_count++];

	memset(e, 0, sizeof(*e));
	return e;
}

/* dir MODE UID GID PATH | file MODE UID GID SIZE HASH PATH | link UID GID TARGET PATH */
static int
read_entry(struct reader *r, enum entry_type type, char *value)
{
	struct manifest *m = r->m;
	uint64_t mode = 0, uid, gid, size = 0;
	char *w;

	if (r->form != MANIFEST_WHOLE)
		return bad(r, "a list of files has no place here", NULL);
	if (m->entry_count >= MANIFEST_ENTRIES_MAX)
		return bad(r, "too many files", NULL);
	struct entry *e = entry_new(m);

	e->type = type;
	if (type != ENTRY_LINK && ((w = word(&value)) == NULL || !number_parse(w, 8, MODE_MAX, &mode)))
		return bad(r, "no mode", NULL);
	if ((w = word(&value)) == NULL || !number_parse(w, 10, ID_MAX, &uid) ||
	    (w = word(&value)) == NULL || !number_parse(w, 10, ID_MAX, &gid))
		return bad(r, "no owner and group", NULL);
	if (type == ENTRY_FILE) {
		if ((w = word(&value)) == NULL || !number_parse(w, 10, SIZE_MAX_FILE, &size))
			return bad(r, "no size", NULL);
		if ((w = word(&value)) == NULL || !hex_decode(e->hash, HASH_SIZE, w))
			return bad(r, "no hash", NULL);
	}
	if (type == ENTRY_LINK) {
		w = word(&value);
		if (w == NULL || !path_unescape(w) || strlen(w) > 4000)
			return bad(r, "no target of a link", NULL);
		e->target = text_dup(w);
	}
	w = word(&value);
	if (read_path(r, w) != 0)
		return PKG_CORRUPT;
	if (value != NULL)
		return bad(r, "too many words", NULL);
	e->path = text_dup(w);
	e->mode = (unsigned)mode;
	e->uid = (unsigned)uid;
	e->gid = (unsigned)gid;
	e->size = size;
	m->size += size;
	if (m->size > SIZE_MAX_FILE)
		return bad(r, "the files are larger than any disk", NULL);
	if (m->entry_count > 1 && strcmp(e[-1].path, e->path) >= 0)
		return bad(r, "twice, or not in order:", e->path);
	return 0;
}

static int
read_package(struct reader *r, char *value)
{
	struct manifest *m = r->m;
	char *file = word(&value), *size = word(&value), *hash = word(&value);

	if (m->file != NULL || file == NULL || size == NULL || hash == NULL || value != NULL ||
	    strchr(file, '/') != NULL || !path_is_safe(file) ||
	    !number_parse(size, 10, SIZE_MAX_FILE, &m->file_size) || !hex_decode(m->file_hash, HASH_SIZE, hash))
		return bad(r, "no file, size and hash", NULL);
	m->file = text_dup(file);
	return 0;
}

static int
read_fact(struct reader *r, const char *key, char *value)
{
	struct manifest *m = r->m;

	if (strcmp(key, "name") == 0)
		return name_is_valid(value) ? read_once(r, &m->name, value) : bad(r, "no name:", value);
	if (strcmp(key, "version") == 0)
		return version_is_valid(value) && strchr(value, '-') ? read_once(r, &m->version, value) :
		    bad(r, "no version-release:", value);
	if (strcmp(key, "arch") == 0)
		return name_is_valid(value) ? read_once(r, &m->arch, value) : bad(r, "no architecture:", value);
	if (strcmp(key, "summary") == 0)
		return read_once(r, &m->summary, value);
	if (strcmp(key, "license") == 0)
		return read_once(r, &m->license, value);
	if (strcmp(key, "url") == 0)
		return read_once(r, &m->url, value);
	if (strcmp(key, "date") == 0)
		return m->date == 0 && number_parse(value, 10, 1ULL << 40, &m->date) ? 0 : bad(r, "no date:", value);
	if (strcmp(key, "size") == 0 && r->form == MANIFEST_HEADER)
		return m->size == 0 && number_parse(value, 10, SIZE_MAX_FILE, &m->size) ? 0 :
		    bad(r, "no size:", value);
	if (strcmp(key, "needs") == 0)
		return read_dep(r, &m->needs, value);
	if (strcmp(key, "provides") == 0)
		return read_dep(r, &m->provides, value);
	if (strcmp(key, "conflicts") == 0)
		return read_dep(r, &m->conflicts, value);
	if (strcmp(key, "replaces") == 0)
		return read_dep(r, &m->replaces, value);
	if (strcmp(key, "config") == 0)
		return read_config(r, value);
	if (strcmp(key, "trigger") == 0)
		return read_trigger(r, value);
	if (strcmp(key, "right") == 0)
		return read_list(r, &m->rights, value);
	if (strcmp(key, "package") == 0 && r->form == MANIFEST_HEADER)
		return read_package(r, value);
	if (strcmp(key, "dir") == 0)
		return read_entry(r, ENTRY_DIR, value);
	if (strcmp(key, "file") == 0)
		return read_entry(r, ENTRY_FILE, value);
	if (strcmp(key, "link") == 0)
		return read_entry(r, ENTRY_LINK, value);
	return bad(r, "unknown key", key);
}

static int
read_line(struct reader *r, const char *start, size_t length)
{
	char line[MANIFEST_LINE_MAX + 1];

	r->line++;
	if (length > MANIFEST_LINE_MAX)
		return bad(r, "a line of more than 16384 bytes", NULL);
	memcpy(line, start, length);
	line[length] = '\0';
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return bad(r, "a control character", NULL);
	}
	char *value = strchr(line, ' ');

	if (value == NULL || value[1] == '\0')
		return bad(r, "a key without a value:", line);
	*value++ = '\0';
	return read_fact(r, line, value);
}

const struct entry *
manifest_find(const struct manifest *m, const char *path)
{
	size_t low = 0, high = m->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, m->entries[middle].path);

		if (order == 0)
			return &m->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Nothing may lie below what is not a folder: a link there would lead outside. */
static int
check_parents(const struct manifest *m, const char *where, struct fault *f)
{
	char above[4096];

	for (size_t i = 0; i < m->entry_count; i++) {
		const char *path = m->entries[i].path;

		for (const char *c = strchr(path, '/'); c != NULL; c = strchr(c + 1, '/')) {
			size_t n = (size_t)(c - path);

			memcpy(above, path, n);
			above[n] = '\0';
			const struct entry *parent = manifest_find(m, above);

			if (parent != NULL && parent->type != ENTRY_DIR)
				return fault_set(f, PKG_CORRUPT, "%s: %s is no folder, and %s lies in it", where, above, c + 1);
		}
	}
	return 0;
}

static int
check_whole(struct reader *r)
{
	struct manifest *m = r->m;

	if (m->name == NULL || m->version == NULL || m->summary == NULL || m->license == NULL ||
	    (r->form != MANIFEST_TEMPLATE && m->arch == NULL))
		return fault_set(r->f, PKG_CORRUPT, "%s lacks one of name, version, arch, summary, license",
		    r->where);
	if (r->form != MANIFEST_WHOLE)
		return 0;
	for (size_t i = 0; i < m->config.count; i++) {
		const struct entry *e = manifest_find(m, m->config.items[i]);

		if (e == NULL || e->type != ENTRY_FILE)
			return fault_set(r->f, PKG_CORRUPT, "%s: configuration file %s is no file of the package",
			    r->where, m->config.items[i]);
		((struct entry *)e)->config = true;
	}
	return check_parents(m, r->where, r->f);
}

int
manifest_parse(struct manifest *m, const char *text, size_t length, enum manifest_form form,
    const char *where, struct fault *f)
{
	struct reader r = {.m = m, .form = form, .where = where, .f = f};
	const char *end = text + length;
	int status = 0;

	memset(m, 0, sizeof(*m));
	if (length > MANIFEST_MAX)
		return fault_set(f, PKG_CORRUPT, "%s is larger than 64 MiB", where);
	while (status == 0 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		if (newline == NULL) {
			r.line++;
			return bad(&r, "the last line does not end", NULL);
		}
		status = read_line(&r, text, (size_t)(newline - text));
		text = newline + 1;
	}
	return status != 0 ? status : check_whole(&r);
}

static void
write_list(struct buffer *b, const char *key, const struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		buffer_format(b, "%s %s\n", key, l->items[i]);
}

static void
write_entry(struct buffer *b, const struct entry *e)
{
	char hash[HASH_HEX];

	if (e->type == ENTRY_DIR)
		buffer_format(b, "dir %04o %u %u ", e->mode, e->uid, e->gid);
	else if (e->type == ENTRY_LINK) {
		buffer_format(b, "link %u %u ", e->uid, e->gid);
		path_escape(b, e->target);
		buffer_text(b, " ");
	} else {
		hex_encode(hash, e->hash, HASH_SIZE);
		buffer_format(b, "file %04o %u %u %llu %s ", e->mode, e->uid, e->gid,
		    (unsigned long long)e->size, hash);
	}
	path_escape(b, e->path);
	buffer_text(b, "\n");
}

void
manifest_write(struct buffer *b, const struct manifest *m, bool entries)
{
	buffer_format(b, "name %s\nversion %s\narch %s\nsummary %s\nlicense %s\n", m->name, m->version,
	    m->arch, m->summary, m->license);
	if (m->url != NULL)
		buffer_format(b, "url %s\n", m->url);
	if (m->date != 0)
		buffer_format(b, "date %llu\n", (unsigned long long)m->date);
	if (!entries && m->size != 0)
		buffer_format(b, "size %llu\n", (unsigned long long)m->size);
	write_list(b, "needs", &m->needs);
	write_list(b, "provides", &m->provides);
	write_list(b, "conflicts", &m->conflicts);
	write_list(b, "replaces", &m->replaces);
	for (size_t i = 0; i < m->config.count; i++) {
		buffer_text(b, "config ");
		path_escape(b, m->config.items[i]);
		buffer_text(b, "\n");
	}
	write_list(b, "trigger", &m->triggers);
	write_list(b, "right", &m->rights);
	for (size_t i = 0; entries && i < m->entry_count; i++)
		write_entry(b, &m->entries[i]);
}

void
manifest_free(struct manifest *m)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		free(m->entries[i].path);
		free(m->entries[i].target);
	}
	free(m->entries);
	free(m->name);
	free(m->version);
	free(m->arch);
	free(m->summary);
	free(m->license);
	free(m->url);
	free(m->file);
	list_free(&m->needs);
	list_free(&m->provides);
	list_free(&m->conflicts);
	list_free(&m->replaces);
	list_free(&m->config);
	list_free(&m->triggers);
	list_free(&m->rights);
	memset(m, 0, sizeof(*m));
}
