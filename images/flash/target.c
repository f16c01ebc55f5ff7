/* SPDX-License-Identifier: MIT */
/*
 * Disks as Linux's sysfs describes them: is it one, who uses it, can it be
 * taken out.  The test build takes a file for a disk and finds /sys and /proc
 * below the folder that FLASH_ROOT names; the real one knows no such thing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "flash.h"

enum { LINE = 4096 };

static const char *
top(void)
{
#ifdef HOST_TEST
	const char *root = getenv("FLASH_ROOT");

	return root != NULL ? root : "";
#else
	return "";
#endif
}

static bool
is_disk(const struct stat *st)
{
#ifdef HOST_TEST
	if (S_ISREG(st->st_mode))
		return true;
#endif
	return S_ISBLK(st->st_mode);
}

/* The first line of a file of sysfs, without blanks at its ends; "" if there is none. */
static void
fact(char to[NAME], const char *disk, const char *file)
{
	char path[PATH_MAX], line[NAME] = "";
	size_t start = 0, end;
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/class/block/%s/%s", top(), disk, file);
	f = fopen(path, "re");
	if (f != NULL && fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	if (f != NULL)
		fclose(f);
	end = strlen(line);
	while (end > 0 && (line[end - 1] == '\n' || line[end - 1] == ' '))
		line[--end] = '\0';
	while (line[start] == ' ')
		start++;
	memmove(to, line + start, end - start + 1);
}

static bool
has(const char *disk, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/class/block/%s/%s", top(), disk, file);
	return access(path, F_OK) == 0;
}

/* As sysfs calls it, whatever link the user named. */
static bool
find_name(struct target *t, const struct stat *st, char reason[REASON])
{
	char link[PATH_MAX], to[PATH_MAX];
	ssize_t n;

	if (!S_ISBLK(st->st_mode)) {
		snprintf(t->name, sizeof(t->name), "%s", strrchr(t->path, '/') + 1);
		return true;
	}
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st->st_rdev), minor(st->st_rdev));
	n = readlink(link, to, sizeof(to) - 1);
	if (n < 0)
		return because(reason, "%s: %s: %s", t->path, link, strerror(errno));
	to[n] = '\0';
	snprintf(t->name, sizeof(t->name), "%.255s", strrchr(to, '/') != NULL ? strrchr(to, '/') + 1 : to);
	return true;
}

/* ---- who uses it --------------------------------------------------------- */

static void
mounted(struct target *t, const char *device)
{
	char path[PATH_MAX], line[LINE], number[NAME], found[NAME], where[NAME];
	FILE *f;

	fact(number, device, "dev");
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", top());
	f = fopen(path, "re");
	while (f != NULL && number[0] != '\0' && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*s %*s %255s %*s %255s", found, where) == 2 && strcmp(found, number) == 0)
			snprintf(t->users, sizeof(t->users), "%.60s is mounted on %.150s", device, where);
	if (f != NULL)
		fclose(f);
}

static void
swapped(struct target *t, const char *device)
{
	char path[PATH_MAX], line[LINE], wanted[NAME + 8], found[NAME];
	FILE *f;

	snprintf(wanted, sizeof(wanted), "/dev/%s", device);
	snprintf(path, sizeof(path), "%s/proc/swaps", top());
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%255s", found) == 1 && strcmp(found, wanted) == 0)
			snprintf(t->users, sizeof(t->users), "%.60s is swap space", device);
	if (f != NULL)
		fclose(f);
}

/* RAID, encryption, logical volumes. */
static void
held(struct target *t, const char *device)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/class/block/%s/holders", top(), device);
	dir = opendir(path);
	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			snprintf(t->users, sizeof(t->users), "%.60s belongs to %.60s", device, e->d_name);
	if (dir != NULL)
		closedir(dir);
}

static void
find_users(struct target *t, const char *device)
{
	mounted(t, device);
	swapped(t, device);
	held(t, device);
}

static void
find_all_users(struct target *t)
{
	char path[PATH_MAX], file[2 * NAME];
	struct dirent *e;
	DIR *dir;

	find_users(t, t->name);
	snprintf(path, sizeof(path), "%s/sys/class/block/%s", top(), t->name);
	dir = opendir(path);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(file, sizeof(file), "%s/partition", e->d_name);
		if (has(t->name, file))
			find_users(t, e->d_name);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ---- what it is ---------------------------------------------------------- */

/* A card in a slot and a disk on USB say so in other places than `removable`. */
static bool
can_be_taken_out(const char *name)
{
	char link[PATH_MAX], to[PATH_MAX], text[NAME];

	fact(text, name, "removable");
	if (strcmp(text, "1") == 0)
		return true;
	fact(text, name, "device/type");
	if (strncmp(name, "mmcblk", 6) == 0 && strcmp(text, "SD") == 0)
		return true;
	snprintf(link, sizeof(link), "%s/sys/class/block/%s", top(), name);
	return realpath(link, to) != NULL && strstr(to, "/usb") != NULL;
}

static void
find_model(struct target *t)
{
	char vendor[NAME], model[NAME];

	fact(vendor, t->name, "device/vendor");
	fact(model, t->name, "device/model");
	if (model[0] == '\0')
		fact(model, t->name, "device/name");	/* of a card */
	if (vendor[0] == '\0' || strncmp(vendor, "0x", 2) == 0)
		snprintf(t->model, sizeof(t->model), "%s", model[0] != '\0' ? model : "unknown model");
	else
		snprintf(t->model, sizeof(t->model), "%.100s %.100s", vendor, model);
}

bool
target_look(struct target *t, const char *path, char reason[REASON])
{
	struct stat st;
	off_t bytes;
	int fd;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	snprintf(t->path, sizeof(t->path), "%s%.250s", strchr(path, '/') == NULL ? "./" : "", path);
	if (stat(path, &st) != 0)
		return because(reason, "%s: %s", path, strerror(errno));
	if (!is_disk(&st))
		return because(reason, "%s: is not a block device", path);
	if (!find_name(t, &st, reason))
		return false;
	if (has(t->name, "partition"))
		return because(reason, "%s: is a partition; the image is of a whole disk", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return because(reason, "%s: %s%s", path, strerror(errno), errno == EACCES ? " (try it as root)" : "");
	bytes = lseek(fd, 0, SEEK_END);
	close(fd);
	if (bytes <= 0)
		return because(reason, "%s: there is no medium in it", path);
	t->bytes = (uint64_t)bytes;
	find_model(t);
	find_all_users(t);
	t->removable = can_be_taken_out(t->name);
	return true;
}

/* ---- reading and writing ------------------------------------------------- */

bool
target_open(struct target *t, bool shared, char reason[REASON])
{
	/* O_EXCL: the kernel refuses a disk that somebody uses, and lets nobody mount it meanwhile. */
	t->fd = open(t->path, O_RDWR | O_CLOEXEC | (shared ? 0 : O_EXCL));
	if (t->fd >= 0)
		return true;
	return because(reason, "%s: %s%s", t->path, strerror(errno), errno == EACCES ? " (try it as root)" : "");
}

bool
target_read(struct target *t, uint64_t offset, void *to, size_t size, char reason[REASON])
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pread(t->fd, (char *)to + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return because(reason, "%s: cannot be read at byte %llu: %s", t->path,
			    (unsigned long long)(offset + done), n < 0 ? strerror(errno) : "it ends there");
		done += (size_t)n;
	}
	return true;
}

bool
target_write(struct target *t, uint64_t offset, const void *from, size_t size, char reason[REASON])
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(t->fd, (const char *)from + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return because(reason, "%s: cannot be written at byte %llu: %s", t->path,
			    (unsigned long long)(offset + done), n < 0 ? strerror(errno) : "it takes nothing");
		done += (size_t)n;
	}
	return true;
}

bool
target_settle(struct target *t, char reason[REASON])
{
	if (fsync(t->fd) != 0)
		return because(reason, "%s: %s", t->path, strerror(errno));
	/* One of them works; on a disk both do. */
	posix_fadvise(t->fd, 0, 0, POSIX_FADV_DONTNEED);
	ioctl(t->fd, BLKFLSBUF, 0);
	return true;
}

void
target_close(struct target *t)
{
	if (t->fd < 0)
		return;
	ioctl(t->fd, BLKRRPART, 0);
	close(t->fd);
	t->fd = -1;
}
