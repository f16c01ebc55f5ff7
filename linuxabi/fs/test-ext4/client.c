/* SPDX-License-Identifier: MIT */
/* What ../test-disk/server.h promises, by ext4 of base/fs; and what a segment's address means here. */
#include "../test/fs_host.h"
#include "server.h"
#include "ext4.h"

enum { DISK_BYTES = 96 << 20 };

struct server_faults faults;
uint64_t server_requests[256], server_steps;
unsigned server_deaths;
char server_wrong[256];
const bool server_is_model = false;
const bool server_redoes = true;

void *
ext4_window(uint64_t address)
{
	ipa_t ipa = WORLD_RAM_BASE + address;

	if ((ipa_to_page(ipa)->flags & PGF_IO) == 0)
		strlcpy(server_wrong, "a segment names memory that is not lent", sizeof(server_wrong));
	return ipa_to_virt(ipa);
}

void ext4_bell(bool peer) { io_interrupt(peer ? WORLD_BIT_PEER : (uint64_t)WORLD_BIT_CHANNEL << SERVER_CHANNEL); }
uint64_t ext4_random(void) { return rnd(); }

void
server_start(struct world_info *w)
{
	const char *options = getenv("MKE2FS");
	uint64_t frame = (uint64_t)ext4_start(options != NULL ? options : "-b 4096", DISK_BYTES);

	w->channel_count = 2;
	strlcpy(w->channel[0].name, "disk", 16);
	w->channel[0].type = CHANNEL_BLOCK;
	w->channel[SERVER_CHANNEL] = (struct world_channel){ .name = "root", .peer = "fs", .address = frame,
	    .size = FS_CHANNEL_BYTES, .type = CHANNEL_FS, .window = SERVER_WINDOW };
}

bool
server_step(void)
{
	bool any;

	server_steps++;
	ext4_shuffle = faults.reorder;
	ext4_die_in = faults.die_in;
	any = ext4_step();
	faults.die_in = ext4_die_in;
	server_deaths = ext4_deaths;
	return any;
}

uint64_t server_blocks;
uint64_t server_used(void) { return 0; }
unsigned server_inodes(void) { return 0; }
unsigned server_orphans(void) { return 0; }
bool server_clean(void) { return ext4_clean(); }
long server_peek(uint32_t inode, uint64_t offset, void *buf, unsigned long size) { (void)inode, (void)offset, (void)buf, (void)size; return 0; }
