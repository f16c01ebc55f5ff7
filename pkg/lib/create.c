// SPDX-License-Identifier: MIT
/*
 * Makes a package: the files of a folder, the facts of a template, and what can
 * be read from the files themselves (shared objects, pkg-config modules,
 * commands).  The same input gives the same bytes: entries are in order, the
 * date is the template's or SOURCE_DATE_EPOCH, owners are 0 unless the template
 * says otherwise, and nothing of the machine enters.
 *
 * The template has the manifest's keys and two more for what an unprivileged
 * build cannot express: "mode OCTAL PATH" and "owner UID GID PATH".
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package.h"

enum { DEPTH_MAX = 64 };

static int
order_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static int
order_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
list_sort(struct list *l)
{
	if (l->count != 0)
		qsort(l->items, l->count, sizeof(*l->items), order_texts);
}

static void
add_fact(struct list *l, const char *prefix, const char *name, const char *version)
{
	char *text = version && version_is_valid(version) ? text_format("%s:%s=%s", prefix, name, version) :
	    text_format("%s:%s", prefix, name);

	if (dep_is_valid(text) && !list_has(l, text))
		list_add(l, text);
	free(text);
}

static bool
in_folder(const char *path, const char *folder, const char **name)
{
	size_t n = strlen(folder);

	if (strncmp(path, folder, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/') != NULL)
		return false;
	*name = path + n + 1;
	return true;
}

static bool
is_library_folder(const char *path, const char **name)
{
	return in_folder(path, "lib", name) || in_folder(path, "usr/lib", name);
}

static bool
is_command_folder(const char *path, const char **name)
{
	return in_folder(path, "usr/bin", name) || in_folder(path, "bin", name) ||
	    in_folder(path, "usr/sbin", name) || in_folder(path, "sbin", name);
}

/* "Requires: a >= 1, b": each name is needed; the relation stays the module's own. */
static void
pc_requires(struct manifest *m, char *value)
{
	char *save = NULL;
	bool skip = false;

	for (char *w = strtok_r(value, " ,\t", &save); w != NULL; w = strtok_r(NULL, " ,\t", &save)) {
		if (strchr("<>=!", w[0]) != NULL)
			skip = true;	/* an operator; its version is the next word */
		else if (skip)
			skip = false;
		else
			add_fact(&m->needs, "pc", w, NULL);
	}
}

static void
read_pc(struct manifest *m, int fd, const char *name)
{
	char text[16384], *save = NULL, *version = NULL;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "Version:", 8) == 0)
			version = l + 8 + strspn(l + 8, " ");
		else if (strncmp(l, "Requires:", 9) == 0)
			pc_requires(m, l + 9);
	}
	char *module = text_dup_n(name, strlen(name) - 3);

	add_fact(&m->provides, "pc", module, version);
	free(module);
}

static void
read_facts(struct manifest *m, const struct entry *e, int fd)
{
	const char *name;
	struct list needed = {0};
	char *soname;
	size_t n = strlen(e->path);

	if (is_command_folder(e->path, &name) && (e->mode & 0111) != 0)
		add_fact(&m->provides, "cmd", name, NULL);
	if ((in_folder(e->path, "usr/lib/pkgconfig", &name) || in_folder(e->path, "usr/share/pkgconfig", &name)) &&
	    n > 3 && strcmp(e->path + n - 3, ".pc") == 0)
		read_pc(m, fd, name);
	elf_read(fd, &soname, &needed);
	if (soname != NULL && is_library_folder(e->path, &name))
		add_fact(&m->provides, "so", soname, NULL);
	for (size_t i = 0; i < needed.count; i++)
		add_fact(&m->needs, "so", needed.items[i], NULL);
	free(soname);
	list_free(&needed);
}

/* What the package has itself it does not need from others. */
static void
drop_own(struct manifest *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->needs.count; i++) {
		char *need = m->needs.items[i];
		size_t n = strlen(need);
		bool own = false;

		for (size_t j = 0; j < m->provides.count && !own; j++) {
			const char *p = m->provides.items[j];

			own = strncmp(p, need, n) == 0 && (p[n] == '\0' || p[n] == '=');
		}
		if (own)
			free(need);
		else
			m->needs.items[kept++] = need;
	}
	m->needs.count = kept;
}

struct walk {
	struct manifest *m;
	int root;
	struct fault *f;
};

static int
read_file(struct walk *w, struct entry *e)
{
	int fd = openat(w->root, e->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || hash_fd(fd, e->hash, &e->size) != 0) {
		int status = fault_errno(w->f, "cannot read %s", e->path);

		if (fd >= 0)
			close(fd);
		return status;
	}
	w->m->size += e->size;
	read_facts(w->m, e, fd);
	close(fd);
	return 0;
}

static int walk_folder(struct walk *w, const char *path, unsigned depth);

static int
walk_entry(struct walk *w, const char *path, unsigned depth)
{
	struct manifest *m = w->m;
	struct stat st;
	char target[4096];

	if (!path_is_safe(path))
		return fault_set(w->f, PKG_FAILED, "a package may not hold %s", path);
	if (fstatat(w->root, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return fault_errno(w->f, "cannot read %s", path);
	if (m->entry_count >= MANIFEST_ENTRIES_MAX)
		return fault_set(w->f, PKG_FAILED, "more than %d files", MANIFEST_ENTRIES_MAX);
	if ((m->entry_count & (m->entry_count - 1)) == 0)
		m->entries = mem_grow(m->entries, m->entry_count ? 2 * m->entry_count : 1, sizeof(*m->entries));
	struct entry *e = &m->entries[m->entry_count++];

	*e = (struct entry){.path = text_dup(path), .mode = st.st_mode & 07777};
	if (S_ISDIR(st.st_mode)) {
		e->type = ENTRY_DIR;
		return walk_folder(w, path, depth + 1);
	}
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(w->root, path, target, sizeof(target) - 1);

		if (n <= 0 || n > 4000)
			return fault_set(w->f, PKG_FAILED, "cannot read the link %s", path);
		target[n] = '\0';
		e->type = ENTRY_LINK;
		e->mode = 0;
		e->target = text_dup(target);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return fault_set(w->f, PKG_FAILED, "%s is a device, pipe or socket; packages hold none", path);
	e->type = ENTRY_FILE;
	return read_file(w, e);
}

static int
walk_folder(struct walk *w, const char *path, unsigned depth)
{
	int fd = openat(w->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int status = 0;

	if (d == NULL) {
		status = fault_errno(w->f, "cannot open the folder %s", path);
		if (fd >= 0)
			close(fd);
		return status;
	}
	if (depth > DEPTH_MAX)
		status = fault_set(w->f, PKG_FAILED, "%s: more than %d folders deep", path, DEPTH_MAX);
	while (status == 0 && (de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		char *below = path[0] ? text_format("%s/%s", path, de->d_name) : text_dup(de->d_name);

		status = walk_entry(w, below, depth);
		free(below);
	}
	closedir(d);
	return status;
}

/* Cuts the template's "mode" and "owner" lines out into their own list. */
static void
split_template(const struct buffer *whole, struct buffer *facts, struct list *wishes)
{
	for (const char *l = whole->data; *l != '\0';) {
		size_t n = strcspn(l, "\n");

		if (strncmp(l, "mode ", 5) == 0 || strncmp(l, "owner ", 6) == 0) {
			char *line = text_dup_n(l, n);

			list_add(wishes, line);
			free(line);
		} else if (n != 0 && l[0] != '#') {
			buffer_add(facts, l, n);
			buffer_text(facts, "\n");
		}
		l += n + (l[n] == '\n');
	}
	buffer_add(facts, "", 0);
}

static int
apply_wish(struct manifest *m, const char *line, struct fault *f)
{
	char *copy = text_dup(line), *save = NULL;
	bool mode = strcmp(strtok_r(copy, " ", &save), "mode") == 0;
	char *first = strtok_r(NULL, " ", &save), *second = mode ? NULL : strtok_r(NULL, " ", &save);
	char *path = strtok_r(NULL, " ", &save);
	struct entry *e = path && path_unescape(path) ? (struct entry *)manifest_find(m, path) : NULL;
	uint64_t a = 0, b = 0;
	bool good = e != NULL && (mode ? number_parse(first, 8, 07777, &a) :
	    number_parse(first, 10, 0x7fffffff, &a) && number_parse(second, 10, 0x7fffffff, &b));

	if (good && mode && e->type != ENTRY_LINK)
		e->mode = (unsigned)a;
	if (good && !mode) {
		e->uid = (unsigned)a;
		e->gid = (unsigned)b;
	}
	free(copy);
	return good ? 0 : fault_set(f, PKG_FAILED, "template: '%s' names no file of the package", line);
}

static int
write_member(struct archive *a, const char *path, const struct entry *e, uint64_t date, const void *data,
    size_t length, int root, struct fault *f)
{
	struct archive_entry *ae = archive_entry_new();
	int fd = -1, status = 0;

	archive_entry_set_pathname(ae, path);
	archive_entry_set_mtime(ae, (time_t)date, 0);
	archive_entry_set_filetype(ae, e && e->type == ENTRY_DIR ? AE_IFDIR : e && e->type == ENTRY_LINK ?
	    AE_IFLNK : AE_IFREG);
	archive_entry_set_perm(ae, e == NULL ? 0644 : e->type == ENTRY_LINK ? 0777 : (mode_t)e->mode);
	archive_entry_set_uid(ae, e ? e->uid : 0);
	archive_entry_set_gid(ae, e ? e->gid : 0);
	archive_entry_set_size(ae, e == NULL ? (la_int64_t)length : e->type == ENTRY_FILE ? (la_int64_t)e->size : 0);
	if (e != NULL && e->type == ENTRY_LINK)
		archive_entry_set_symlink(ae, e->target);
	if (archive_write_header(a, ae) != ARCHIVE_OK)
		status = fault_set(f, PKG_FAILED, "cannot write %s: %s", path, archive_error_string(a));
	if (status == 0 && e == NULL && archive_write_data(a, data, length) != (la_ssize_t)length)
		status = fault_set(f, PKG_FAILED, "cannot write %s: %s", path, archive_error_string(a));
	if (status == 0 && e != NULL && e->type == ENTRY_FILE) {
		char block[65536];
		uint64_t total = 0;
		ssize_t n = 0;

		fd = openat(root, e->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			status = fault_errno(f, "cannot read %s", e->path);
		while (status == 0 && (n = read(fd, block, sizeof(block))) > 0) {
			total += (uint64_t)n;
			if (archive_write_data(a, block, (size_t)n) != n)
				status = fault_set(f, PKG_FAILED, "cannot write %s: %s", path, archive_error_string(a));
		}
		if (status == 0 && (n < 0 || total != e->size))
			status = fault_set(f, PKG_FAILED, "%s changed while it was packed", e->path);
		if (fd >= 0)
			close(fd);
	}
	archive_entry_free(ae);
	return status;
}

static bool
is_ascii(const char *text)
{
	while ((unsigned char)*text - 1U < 0x7f)
		text++;
	return *text == '\0';
}

/*
 * With a character set each member gets a header of its own that names it, a
 * kilobyte to be unpacked and read; paths of ASCII need none.
 */
static const char *
archive_options(const struct manifest *m)
{
	static const char plain[] = "zstd:compression-level=12", binary[] = "zstd:compression-level=12,hdrcharset=BINARY";

	for (size_t i = 0; i < m->entry_count; i++) {
		const struct entry *e = &m->entries[i];

		if (!is_ascii(e->path) || (e->target != NULL && !is_ascii(e->target)))
			return binary;
	}
	return plain;
}

static int
write_package(const struct manifest *m, const struct create *c, int root, const char *path, struct fault *f)
{
	struct buffer text = {0}, signature = {0};
	struct archive *a = archive_write_new();
	char *temporary = text_format("%s.tmp", path);
	int status = 0;

	manifest_write(&text, m, true);
	buffer_add(&signature, "", 0);
	if (c->secret != NULL)
		signature_add(&signature, c->secret, text.data, text.length);
	if (archive_write_add_filter_zstd(a) != ARCHIVE_OK || archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_set_options(a, archive_options(m)) != ARCHIVE_OK ||
	    archive_write_open_filename(a, temporary) != ARCHIVE_OK)
		status = fault_set(f, PKG_FAILED, "cannot write %s: %s", temporary, archive_error_string(a));
	if (status == 0)
		status = write_member(a, "+MANIFEST", NULL, m->date, text.data, text.length, root, f);
	if (status == 0)
		status = write_member(a, "+SIGNATURE", NULL, m->date, signature.data, signature.length, root, f);
	for (size_t i = 0; status == 0 && i < m->entry_count; i++)
		status = write_member(a, m->entries[i].path, &m->entries[i], m->date, NULL, 0, root, f);
	if (archive_write_close(a) != ARCHIVE_OK && status == 0)
		status = fault_set(f, PKG_FAILED, "cannot write %s: %s", temporary, archive_error_string(a));
	archive_write_free(a);
	if (status == 0 && rename(temporary, path) != 0)
		status = fault_errno(f, "cannot rename %s", temporary);
	if (status != 0)
		unlink(temporary);
	free(temporary);
	buffer_free(&text);
	buffer_free(&signature);
	return status;
}

/* The same text read back by the reader's own rules: what it refuses is not written. */
static int
check_result(const struct manifest *m, struct fault *f)
{
	struct buffer text = {0};
	struct manifest again;

	manifest_write(&text, m, true);
	int status = manifest_parse(&again, text.data, text.length, MANIFEST_WHOLE, "the new manifest", f);

	manifest_free(&again);
	buffer_free(&text);
	return status;
}

static int
fill(struct manifest *m, const struct create *c, int root, const struct list *wishes, struct fault *f)
{
	struct walk w = {.m = m, .root = root, .f = f};
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	int status = walk_folder(&w, "", 0);

	if (status != 0)
		return status;
	if (m->entry_count != 0)
		qsort(m->entries, m->entry_count, sizeof(*m->entries), order_entries);
	for (size_t i = 0; i < wishes->count && status == 0; i++)
		status = apply_wish(m, wishes->items[i], f);
	if (m->arch == NULL)
		m->arch = text_dup(c->arch);
	if (m->date == 0 && epoch != NULL && !number_parse(epoch, 10, 1ULL << 40, &m->date))
		return fault_set(f, PKG_FAILED, "SOURCE_DATE_EPOCH is no number");
	drop_own(m);
	list_sort(&m->needs);
	list_sort(&m->provides);
	return status != 0 ? status : check_result(m, f);
}

int
package_create(const struct create *c, char **path, struct fault *f)
{
	struct buffer whole = {0}, facts = {0};
	struct list wishes = {0};
	struct manifest m = {0};
	int root = -1;
	int status = file_read(c->template, MANIFEST_MAX, &whole, f);

	*path = NULL;
	if (status != 0)
		goto out;
	split_template(&whole, &facts, &wishes);
	status = manifest_parse(&m, facts.data, facts.length, MANIFEST_TEMPLATE, c->template, f);
	if (status != 0)
		goto out;
	root = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) {
		status = fault_errno(f, "cannot open %s", c->folder);
		goto out;
	}
	status = fill(&m, c, root, &wishes, f);
	if (status != 0)
		goto out;
	*path = text_format("%s/%s-%s.%s.pkg", c->output, m.name, m.version, m.arch);
	status = write_package(&m, c, root, *path, f);
out:
	if (root >= 0)
		close(root);
	manifest_free(&m);
	list_free(&wishes);
	buffer_free(&facts);
	buffer_free(&whole);
	return status;
}
