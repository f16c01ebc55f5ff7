/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a root archive: unpacked into a file system of their own, which
 * is unmounted afterwards; nothing may be left of it.
 */
#include "fs_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t pages;
static long objects;

static void
start(void)
{
	host_fs_init();
	EXPECT(t_mkdir("/x"), 0);
}

static void
run(const uint8_t *data, size_t size)
{
	struct mount *real = root_mount;
	struct path top;

	EXPECT(sys_mount(U("t"), U("/x"), U("tmpfs"), 0, U("size=1m,nr_inodes=200")), 0);
	EXPECT(path_walk(AT_FDCWD, "/x", WALK_FOLLOW, &top), 0);
	/* The archive unpacks into the mount, as if it were the root. */
	root_mount = top.mnt;
	current->fs->root = top;
	fs_unpack_cpio(data, size);
	root_mount = real;
	current->fs->root = (struct path){ real, real->root };
	path_put(&top);
	EXPECT(sys_umount2(U("/x"), 0), 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started) {
		start();
		for (int i = 0; i < 3; i++)	/* fills the caches */
			run((const uint8_t *)"", 0);
		pages = pages_free_count();
		objects = host_objects;
		started = true;
	}
	run(data, size);
	EXPECT(pages_free_count(), pages);
	EXPECT(host_objects, objects);
	return 0;
}
