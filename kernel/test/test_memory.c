/* SPDX-License-Identifier: MIT */
/*
 * Untyped, CNode, derivation, Frames and VSpaces.
 */
#include "test.h"

TEST(boot_satisfies_the_checker)
{
	EXPECT(running(0) == init_thread, true);
	EXPECT(check_everything(), 0);
}

TEST(retype_refuses_what_no_object_is)
{
	EXPECT(retype(normal_untyped, OBJ_NULL, 0, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_IRQ_CONTROL, 0, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJECT_TYPES, 0, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, 1000, 0, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 11, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 31, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_CNODE, 64, SCRATCH, 1), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, SCRATCH, 0), ERR_ARGUMENT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, SCRATCH, 129), ERR_LIMIT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, 0, 1), ERR_SLOT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, 16384, 1), ERR_SLOT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, 16380, 10), ERR_SLOT);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 12, ROOT, 1), ERR_SLOT_FULL);
	EXPECT(retype(normal_untyped, OBJ_FRAME, 30, SCRATCH, 1), ERR_NO_MEMORY);
	EXPECT(retype(SCRATCH, OBJ_FRAME, 12, SCRATCH, 1), ERR_SLOT_EMPTY);
	EXPECT(slot_of(SCRATCH)->type, OBJ_NULL);
}

TEST(retype_gives_each_byte_out_once)
{
	uint32_t u = make(OBJ_UNTYPED, 16);

	EXPECT(retype(u, OBJ_FRAME, 12, SCRATCH + 100, 16), OK);
	EXPECT(retype(u, OBJ_ENDPOINT, 0, SCRATCH + 200, 1), ERR_NO_MEMORY);
	for (unsigned i = 1; i < 16; i++)
		EXPECT(slot_of(SCRATCH + 100 + i)->frame.base_page,
			slot_of(SCRATCH + 100)->frame.base_page + i);
}

TEST(untyped_starts_again_only_without_children)
{
	uint32_t u = make(OBJ_UNTYPED, 13), a = new_slot(), b = new_slot();

	EXPECT(retype(u, OBJ_FRAME, 12, a, 2), OK);
	EXPECT(retype(u, OBJ_FRAME, 12, a + 10, 1), ERR_NO_MEMORY);
	EXPECT(delete(a), OK);
	EXPECT(retype(u, OBJ_FRAME, 12, a + 10, 1), ERR_NO_MEMORY);
	EXPECT(delete(b), OK);
	EXPECT(retype(u, OBJ_FRAME, 12, a + 10, 1), OK);
	EXPECT(INVOKE0(u, UNTYPED_INFO), OK);
	EXPECT(result(0), 13);
	EXPECT(result(1), 4096);
	EXPECT(result(3), 1);
}

TEST(memory_is_cleared_before_it_becomes_an_object)
{
	uint32_t u = make(OBJ_UNTYPED, 16), f = new_slot();
	char *memory;

	EXPECT(retype(u, OBJ_FRAME, 16, f, 1), OK);
	memory = phys_to_kernel((paddr_t)slot_of(f)->frame.base_page << 12);
	memset(memory, 0x5a, 65536);
	EXPECT(delete(f), OK);
	preempt_every = 0;
	EXPECT(retype(u, OBJ_FRAME, 16, f, 1), OK);
	EXPECT(restarts, 3);
	for (unsigned i = 0; i < 65536; i++)
		EXPECT(memory[i], 0);
}

TEST(device_memory_becomes_frames_only)
{
	uint32_t f = new_slot();

	EXPECT(retype(device_untyped, OBJ_ENDPOINT, 0, f, 1), ERR_ARGUMENT);
	EXPECT(retype(device_untyped, OBJ_UNTYPED, 12, f, 1), ERR_ARGUMENT);
	EXPECT(retype(device_untyped, OBJ_FRAME, 12, f, 1), OK);
	EXPECT(slot_of(f)->device, 1);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, MAP_NORMAL), ERR_ARGUMENT);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ | RIGHT_EXEC, MAP_DEVICE),
		ERR_RIGHTS);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, MAP_DEVICE), OK);
}

TEST(copied_untyped_hands_nothing_out_twice)
{
	uint32_t u = make(OBJ_UNTYPED, 14), v = new_slot(), f = new_slot();

	EXPECT(copy(v, u, RIGHTS_ALL), OK);
	EXPECT(retype(u, OBJ_FRAME, 12, f, 1), ERR_NO_MEMORY);
	EXPECT(retype(v, OBJ_FRAME, 12, f, 1), OK);
	EXPECT(copy(new_slot(), v, RIGHTS_ALL), ERR_ARGUMENT);
	EXPECT(delete(v), OK);		/* the frame stays, below u */
	EXPECT(slot_of(f)->type, OBJ_FRAME);
	EXPECT(retype(u, OBJ_FRAME, 12, new_slot(), 1), ERR_NO_MEMORY);
	EXPECT(revoke(u), OK);
	EXPECT(slot_of(f)->type, OBJ_NULL);
	EXPECT(retype(u, OBJ_FRAME, 12, f, 1), OK);
}

TEST(mint_never_adds_rights)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), r = new_slot(), all = new_slot();

	EXPECT(copy(r, e, RIGHT_READ), OK);
	EXPECT(copy(all, r, RIGHTS_ALL), OK);
	EXPECT(slot_of(all)->rights, RIGHT_READ);
	EXPECT(copy(new_slot(), e, 16), ERR_ARGUMENT);
	EXPECT(copy(e, e, RIGHTS_ALL), ERR_SLOT_FULL);
}

TEST(badge_is_given_once)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), b = new_slot(), c = new_slot(), f = make(OBJ_FRAME, 12);

	EXPECT(mint(b, e, RIGHTS_ALL, 7), OK);
	EXPECT(mint(c, b, RIGHTS_ALL, 8), ERR_BADGED);
	EXPECT(mint(c, b, RIGHTS_ALL, 0), OK);
	EXPECT(slot_of(c)->badge, 7);
	EXPECT(mint(new_slot(), f, RIGHTS_ALL, 8), ERR_ARGUMENT);
}

TEST(controls_and_replies_have_one_capability)
{
	uint32_t r = make(OBJ_REPLY, 0);

	EXPECT(copy(new_slot(), r, RIGHTS_ALL), ERR_ARGUMENT);
	EXPECT(copy(new_slot(), INIT_SLOT_IRQ_CONTROL, RIGHTS_ALL), ERR_ARGUMENT);
	EXPECT(INVOKE(ROOT, CNODE_MOVE, new_slot(), 0, r), OK);
}

TEST(revoke_deletes_all_that_was_derived_and_nothing_else)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), other = make(OBJ_ENDPOINT, 0);
	uint32_t first = new_slot();

	for (unsigned i = 0; i < 40; i++) {	/* a tree of copies of copies */
		uint32_t from = i == 0 ? e : first + (i - 1) / 2;

		EXPECT(copy(first + i, from, RIGHTS_ALL), OK);
	}
	slot_of(other)->badge = 0;
	preempt_every = 2;
	EXPECT(revoke(e), OK);
	EXPECT(restarts > 5, true);
	for (unsigned i = 0; i < 40; i++)
		EXPECT(slot_of(first + i)->type, OBJ_NULL);
	EXPECT(slot_of(e)->type, OBJ_ENDPOINT);
	EXPECT(slot_of(other)->type, OBJ_ENDPOINT);
	EXPECT(slot_of(e)->endpoint->obj.refs, 1);
}

TEST(delete_lifts_what_was_derived)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), a = new_slot(), b = new_slot();

	EXPECT(copy(a, e, RIGHTS_ALL), OK);
	EXPECT(copy(b, a, RIGHTS_ALL), OK);
	EXPECT(delete(a), OK);
	EXPECT(slot_of(b)->type, OBJ_ENDPOINT);
	EXPECT(delete(a), ERR_SLOT_EMPTY);
	EXPECT(revoke(e), OK);
	EXPECT(slot_of(b)->type, OBJ_NULL);
}

TEST(move_keeps_place_and_mapping)
{
	uint32_t f = make(OBJ_FRAME, 13), m = new_slot(), to = new_slot();

	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 4096, 4096), OK);
	EXPECT(INVOKE(m, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, MAP_NORMAL), OK);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60004000, RIGHT_READ, MAP_NORMAL), OK);
	EXPECT(INVOKE(ROOT, CNODE_MOVE, to, 0, m), OK);
	EXPECT(slot_of(m)->type, OBJ_NULL);
	EXPECT(check_everything(), 0);
	EXPECT(INVOKE0(to, FRAME_UNMAP), OK);
	EXPECT(INVOKE(to, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, MAP_NORMAL), OK);
	EXPECT(INVOKE(ROOT, CNODE_MOVE, m, 0, f), OK);
	EXPECT(revoke(m), OK);
	EXPECT(slot_of(to)->type, OBJ_NULL);
}

TEST(mint_frame_stays_in_its_range)
{
	uint32_t f = make(OBJ_FRAME, 14), m = new_slot();

	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 4096, 16384), ERR_RANGE);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 16384, 4096), ERR_RANGE);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 0, 0), ERR_RANGE);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 4096, ~0xfffull), ERR_RANGE);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, 1, 4096), ERR_ALIGN);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, make(OBJ_ENDPOINT, 0), RIGHTS_ALL, 0, 4096), ERR_TYPE);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHT_READ, 4096, 8192), OK);
	EXPECT(INVOKE0(m, FRAME_INFO), OK);
	EXPECT(result(0), 8192);
}

TEST(frame_is_mapped_once_and_within_its_rights)
{
	uint32_t f = make(OBJ_FRAME, 12), g = make(OBJ_FRAME, 12), ro = new_slot();
	const uint64_t v = 0x60000000;

	EXPECT(copy(ro, f, RIGHT_READ), OK);
	EXPECT(INVOKE(ro, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_READ | RIGHT_WRITE, 0), ERR_RIGHTS);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, 0), ERR_RIGHTS);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_WRITE, 0), ERR_ARGUMENT);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v + 1, RIGHT_READ, 0), ERR_ALIGN);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0, RIGHT_READ, 0), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 1ull << 39, RIGHT_READ, 0), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_READ, 3), ERR_ARGUMENT);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_READ | RIGHT_WRITE, 0), OK);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, v + 4096, RIGHT_READ, 0), ERR_MAPPED);
	EXPECT(INVOKE(g, FRAME_MAP, INIT_SLOT_VSPACE, v, RIGHT_READ, 0), ERR_MAPPED);
	EXPECT(slot_of(g)->vspace == NULL, true);
	EXPECT(INVOKE0(f, FRAME_UNMAP), OK);
	EXPECT(INVOKE0(f, FRAME_UNMAP), ERR_NOT_MAPPED);
}

TEST(failed_map_leaves_nothing)
{
	uint32_t big = make(OBJ_FRAME, 18), one = make(OBJ_FRAME, 12), vs = make(OBJ_VSPACE, 14);
	const uint64_t v = 0x60001000;	/* not aligned: single pages */

	EXPECT(INVOKE(one, FRAME_MAP, vs, v + 0x20000, RIGHT_READ, 0), OK);
	for (preempt_every = -1; preempt_every < 4; preempt_every++)
		EXPECT(INVOKE(big, FRAME_MAP, vs, v, RIGHT_READ, 0), ERR_MAPPED);
	EXPECT(slot_of(big)->vspace == NULL, true);
	EXPECT(slot_of(vs)->vspace->mapped_bytes, 4096);
	preempt_every = 1;
	EXPECT(INVOKE0(one, FRAME_UNMAP), OK);
	EXPECT(INVOKE(big, FRAME_MAP, vs, v, RIGHT_READ, 0), OK);
	EXPECT(restarts > 10, true);
	EXPECT(INVOKE0(big, FRAME_UNMAP), OK);
	EXPECT(INVOKE(big, FRAME_MAP, vs, 0x60000000 - 0x20000, RIGHT_READ, 0), ERR_NO_MEMORY);
	EXPECT(slot_of(vs)->vspace->mapped_bytes, 0);
	EXPECT(slot_of(vs)->vspace->arch.tables_free, 2);
}

TEST(vspace_counts_its_tables)
{
	uint32_t vs = make(OBJ_VSPACE, 15), f = make(OBJ_FRAME, 12);

	EXPECT(INVOKE0(vs, VSPACE_INFO), OK);
	EXPECT(result(0), 6);
	EXPECT(result(1), 6);
	EXPECT(INVOKE(f, FRAME_MAP, vs, 0x60000000, RIGHT_READ, 0), OK);
	EXPECT(INVOKE0(vs, VSPACE_INFO), OK);
	EXPECT(result(1), 4);
	EXPECT(result(2), 4096);
	EXPECT(INVOKE0(vs, VSPACE_SET_PERSONALITY), ERR_STATE);
	EXPECT(delete(f), OK);
	EXPECT(INVOKE0(vs, VSPACE_INFO), OK);
	EXPECT(result(1), 6);
	EXPECT(INVOKE0(vs, VSPACE_SET_PERSONALITY), OK);
	f = make(OBJ_FRAME, 12);
	EXPECT(INVOKE(f, FRAME_MAP, vs, 0x60000000, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, 0), OK);
}

TEST(destroyed_vspace_unmaps_its_frames)
{
	uint32_t vs = make(OBJ_VSPACE, 14), f = make(OBJ_FRAME, 16), m[4];

	for (unsigned i = 0; i < 4; i++) {
		m[i] = new_slot();
		EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m[i], 0, f, RIGHTS_ALL, i * 8192, 4096), OK);
		EXPECT(INVOKE(m[i], FRAME_MAP, vs, 0x60000000 + i * 4096, RIGHT_READ, 0), OK);
	}
	preempt_every = 0;
	EXPECT(delete(vs), OK);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(slot_of(m[i])->vspace == NULL, true);
	EXPECT(INVOKE(m[0], FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, 0), OK);
}

TEST(nested_cnodes_die_without_recursion)
{
	uint32_t u = make(OBJ_UNTYPED, 16), outer = new_slot();
	uint32_t inner = new_slot();

	EXPECT(retype(u, OBJ_CNODE, 3, outer, 1), OK);
	for (unsigned depth = 0; depth < 30; depth++) {
		uint32_t next = new_slot();

		EXPECT(retype(u, OBJ_CNODE, 3, next, 1), OK);
		EXPECT(INVOKE(depth == 0 ? outer : inner, CNODE_COPY, 1, 0, next, RIGHTS_ALL), OK);
		if (depth > 0)
			EXPECT(delete(inner), OK);
		inner = next;
	}
	EXPECT(delete(inner), OK);
	preempt_every = 0;
	EXPECT(delete(outer), OK);
	EXPECT(dying_list == NULL, true);
	EXPECT(slot_of(u)->child == NULL, true);
}

TEST(cnode_that_holds_itself_is_revoked)
{
	uint32_t u = make(OBJ_UNTYPED, 16), c = new_slot();

	EXPECT(retype(u, OBJ_CNODE, 4, c, 1), OK);
	EXPECT(INVOKE(c, CNODE_MOVE, 5, 0, c), OK);
	EXPECT(slot_of(u)->child != NULL, true);
	EXPECT(revoke(u), OK);
	EXPECT(slot_of(u)->child == NULL, true);
}

TEST(cnode_slots_are_checked)
{
	uint32_t c = make(OBJ_CNODE, 2), ro = new_slot(), e = make(OBJ_ENDPOINT, 0);

	EXPECT(INVOKE(c, CNODE_COPY, 0, 0, e, RIGHTS_ALL), ERR_SLOT);
	EXPECT(INVOKE(c, CNODE_COPY, 4, 0, e, RIGHTS_ALL), ERR_SLOT);
	EXPECT(INVOKE(c, CNODE_COPY, ~0ull, 0, e, RIGHTS_ALL), ERR_SLOT);
	EXPECT(INVOKE(c, CNODE_COPY, 3, 0, SCRATCH + 500, RIGHTS_ALL), ERR_SLOT_EMPTY);
	EXPECT(INVOKE(c, CNODE_COPY, 3, e, 1, RIGHTS_ALL), ERR_TYPE);
	EXPECT(copy(ro, c, RIGHT_READ), OK);
	EXPECT(INVOKE(ro, CNODE_COPY, 3, 0, e, RIGHTS_ALL), ERR_RIGHTS);
	EXPECT(INVOKE(c, CNODE_COPY, 3, 0, e, RIGHTS_ALL), OK);
	EXPECT(INVOKE(ROOT, CNODE_COPY, new_slot(), ro, 3, RIGHTS_ALL), OK);
	EXPECT(INVOKE(ROOT, 99, 1), ERR_CALL);
	EXPECT(INVOKE(ROOT, 0, 1), ERR_CALL);
}

TEST(what_a_slot_holds_is_told)
{
	uint32_t endpoint = make(OBJ_ENDPOINT, 0), badged = new_slot(), frame = make(OBJ_FRAME, 14);
	uint32_t part = new_slot(), vspace = make(OBJ_VSPACE, 16), blind = new_slot();
	uint64_t object, space;

	EXPECT(mint(badged, endpoint, RIGHT_WRITE, 77), OK);
	EXPECT(INVOKE(ROOT, CNODE_INFO, endpoint), OK);
	EXPECT(result(0), OBJ_ENDPOINT);
	EXPECT(result(1), RIGHTS_ALL);
	EXPECT(result(2), 0);
	object = result(3);
	EXPECT(INVOKE(ROOT, CNODE_INFO, badged), OK);
	EXPECT(result(1), RIGHT_WRITE);
	EXPECT(result(2), 77);
	EXPECT(result(3), object);

	EXPECT(INVOKE(ROOT, CNODE_INFO, vspace), OK);
	space = result(3);
	EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, part, 0, frame, RIGHT_READ | RIGHT_WRITE, 4096, 8192), OK);
	EXPECT(INVOKE(part, FRAME_MAP, vspace, 0x400000, RIGHT_READ, MAP_NORMAL), OK);
	EXPECT(INVOKE(ROOT, CNODE_INFO, frame), OK);
	object = result(3);
	EXPECT(result(2), 0);
	EXPECT(result(4), 1u << 14);
	EXPECT(result(5), 0);
	EXPECT(INVOKE(ROOT, CNODE_INFO, part), OK);
	EXPECT(result(0), OBJ_FRAME);
	EXPECT(result(1), RIGHT_READ | RIGHT_WRITE | RIGHT_READ << 8);
	EXPECT(result(2), space);
	EXPECT(result(3), object + 4096);
	EXPECT(result(4), 8192);
	EXPECT(result(5), 0x400000);

	EXPECT(INVOKE(ROOT, CNODE_INFO, device_untyped), OK);
	EXPECT(result(0), OBJ_UNTYPED);
	EXPECT(result(1) >> 16, 1);
	EXPECT(result(2), 0);
	EXPECT(result(4), (uint64_t)1 << slot_of(device_untyped)->pages);

	EXPECT(INVOKE(ROOT, CNODE_INFO, new_slot()), ERR_SLOT_EMPTY);
	EXPECT(INVOKE(ROOT, CNODE_INFO, 1u << 30), ERR_SLOT);
	EXPECT(copy(blind, ROOT, RIGHT_READ | RIGHT_WRITE), OK);
	EXPECT(INVOKE(blind, CNODE_INFO, frame), ERR_RIGHTS);
}
