/* SPDX-License-Identifier: MIT */
/*
 * Devices: IOControl, IODevice, IOSpace, message interrupts, faults.
 */
#include "test.h"

enum { RW = RIGHT_READ | RIGHT_WRITE };

/* An IODevice that is stream n of SMMU 0 and device n of ITS 0. */
static uint32_t
device(uint32_t n)
{
	uint32_t d = make(OBJ_IO_DEVICE, 0);

	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, n, 0, n), OK);
	return d;
}

static uint64_t
frame_base(uint32_t f)
{
	return (uint64_t)slot_of(f)->frame.base_page << 12;
}

TEST(stream_belongs_to_one_device)
{
	uint32_t d = make(OBJ_IO_DEVICE, 0), e = make(OBJ_IO_DEVICE, 0), space = make(OBJ_IO_SPACE, 15);

	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), ERR_STATE);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 0, 0, new_slot()), ERR_STATE);
	EXPECT(INVOKE(d, IO_DEVICE_BIND_FAULT, 0), ERR_STATE);
	EXPECT(INVOKE0(d, IO_DEVICE_FAULT), ERR_STATE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, HOST_SMMUS, 1, 0, 1), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, HOST_STREAMS, 0, 1), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, 1ull << 32, 0, 1), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, 1, 7, 1), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, 1, 0, 1), OK);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, 2, 0, 2), ERR_STATE);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, e, 0, 1, 0, 2), ERR_BUSY);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, e, 0, 2, 0, 1), ERR_BUSY);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, e, 1, 1, IO_NO_ITS, 1), OK);
	EXPECT(INVOKE(e, IO_DEVICE_GET_IRQ, 0, 0, new_slot()), ERR_STATE);
	EXPECT(delete(d), OK);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, make(OBJ_IO_DEVICE, 0), 0, 1, 0, 1), OK);
}

TEST(device_reaches_what_is_mapped_and_no_more)
{
	uint32_t d = device(3), space = make(OBJ_IO_SPACE, 15), f = make(OBJ_FRAME, 13), ro = make(OBJ_FRAME, 12);
	uint64_t base = frame_base(f);

	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x10000, RW), OK);
	EXPECT(INVOKE(ro, FRAME_MAP_IO, space, 0x12000, RIGHT_READ), OK);
	EXPECT(host_dma(0, 3, 0x10000, true), 0);	/* not bound yet */
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	EXPECT(host_dma(0, 3, 0x10008, true), base + 8);
	EXPECT(host_dma(0, 3, 0x11000, false), base + 4096);
	EXPECT(host_dma(0, 3, 0x12000, false), frame_base(ro));
	EXPECT(host_dma(0, 3, 0x12000, true), 0);
	EXPECT(host_dma(0, 3, 0x13000, false), 0);
	EXPECT(host_dma(0, 3, IO_DOORBELL_IOVA + 0x40, true), HOST_DOORBELL + 0x40);
	EXPECT(host_dma(0, 4, 0x10000, false), 0);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, 0), OK);
	EXPECT(host_dma(0, 3, 0x10008, true), 0);
}

TEST(frame_is_mapped_in_one_space_of_either_kind)
{
	uint32_t space = make(OBJ_IO_SPACE, 15), f = make(OBJ_FRAME, 12), dev = new_slot(), c = new_slot();

	EXPECT(retype(device_untyped, OBJ_FRAME, 12, dev, 1), OK);
	EXPECT(copy(c, f, RIGHT_READ), OK);
	EXPECT(INVOKE(dev, FRAME_MAP_IO, space, 0x1000, RIGHT_READ), ERR_TYPE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, INIT_SLOT_VSPACE, 0x1000, RW), ERR_TYPE);
	EXPECT(INVOKE(f, FRAME_MAP, space, 0x60000000, RW, 0), ERR_TYPE);
	EXPECT(INVOKE(c, FRAME_MAP_IO, space, 0x1000, RW), ERR_RIGHTS);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x1000, RIGHT_WRITE), ERR_ARGUMENT);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x1000, RW | RIGHT_EXEC), ERR_ARGUMENT);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x1001, RW), ERR_ALIGN);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 1ull << 39, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, ~0xfffull, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, IO_DOORBELL_IOVA, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0, RW), OK);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x1000, RW), ERR_MAPPED);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RW, 0), ERR_MAPPED);
	EXPECT(INVOKE(c, FRAME_MAP, INIT_SLOT_VSPACE, 0x60000000, RIGHT_READ, 0), OK);
	EXPECT(INVOKE(c, FRAME_MAP_IO, space, 0x1000, RIGHT_READ), ERR_MAPPED);
	EXPECT(INVOKE0(f, FRAME_UNMAP), OK);
	EXPECT(INVOKE(f, FRAME_MAP, INIT_SLOT_VSPACE, 0x60001000, RW, 0), OK);
}

TEST(window_bounds_what_its_capability_maps)
{
	uint32_t space = make(OBJ_IO_SPACE, 16), w = new_slot(), c = new_slot(), d = device(1);
	uint32_t f = make(OBJ_FRAME, 13);
	const uint64_t window = 3ull << IO_WINDOW_SHIFT;

	EXPECT(mint(w, space, RIGHTS_ALL, IO_WINDOW_COUNT), ERR_RANGE);
	EXPECT(mint(w, space, RIGHTS_ALL, 3), OK);
	EXPECT(mint(c, w, RIGHTS_ALL, 4), ERR_BADGED);
	EXPECT(copy(c, w, RIGHTS_ALL), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, w), ERR_RIGHTS);
	EXPECT(INVOKE(f, FRAME_MAP_IO, c, 0x10000, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, c, window - 0x1000, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, c, window + (1ull << IO_WINDOW_SHIFT) - 0x1000, RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, c, window + (1ull << IO_WINDOW_SHIFT), RW), ERR_RANGE);
	EXPECT(INVOKE(f, FRAME_MAP_IO, c, window + (1ull << IO_WINDOW_SHIFT) - 0x2000, RW), OK);
	EXPECT(INVOKE0(f, FRAME_UNMAP), OK);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, window, RW), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	EXPECT(host_dma(0, 1, window + 0x1000, true), frame_base(f) + 0x1000);
}

TEST(revoked_memory_is_out_of_reach)
{
	uint32_t budget = make(OBJ_UNTYPED, 17), f = new_slot(), mine = make(OBJ_FRAME, 12);
	uint32_t d = device(2), space = make(OBJ_IO_SPACE, 16);

	EXPECT(retype(budget, OBJ_FRAME, 16, f, 1), OK);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x7ff000, RW), OK);
	EXPECT(INVOKE(mine, FRAME_MAP_IO, space, 0x900000, RW), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	for (unsigned i = 0; i < 16; i++)
		EXPECT(host_dma(0, 2, 0x7ff000 + i * 4096, true), frame_base(f) + i * 4096);
	preempt_every = 0;
	EXPECT(revoke(budget), OK);
	for (unsigned i = 0; i < 16; i++)
		EXPECT(host_dma(0, 2, 0x7ff000 + i * 4096, true), 0);
	EXPECT(host_dma(0, 2, 0x900000, true), frame_base(mine));
	EXPECT(delete(mine), OK);
	EXPECT(host_dma(0, 2, 0x900000, true), 0);
}

TEST(dying_space_unbinds_and_dying_device_aborts)
{
	uint32_t budget = make(OBJ_UNTYPED, 18), space = new_slot(), f = make(OBJ_FRAME, 12);
	uint32_t a = device(1), b = device(2), h = new_slot(), n = make(OBJ_NOTIFICATION, 0);

	EXPECT(retype(budget, OBJ_IO_SPACE, 16, space, 1), OK);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x5000, RW), OK);
	EXPECT(INVOKE(a, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(b, IO_DEVICE_BIND, space), OK);
	preempt_every = 0;
	EXPECT(revoke(budget), OK);
	EXPECT(host_dma(0, 1, 0x5000, false), 0);
	EXPECT(slot_of(a)->io_device->space == NULL && slot_of(b)->io_device->space == NULL, true);
	EXPECT(slot_of(f)->vspace == NULL, true);

	EXPECT(retype(budget, OBJ_IO_SPACE, 16, space, 1), OK);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x5000, RW), OK);
	EXPECT(INVOKE(a, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(a, IO_DEVICE_GET_IRQ, 4, 0, h), OK);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, n), OK);
	EXPECT(delete(a), OK);		/* its handler is lifted and has no cause */
	EXPECT(slot_of(h)->type, OBJ_IRQ_HANDLER);
	EXPECT(host_dma(0, 1, 0x5000, false), 0);
	EXPECT(slot_of(n)->notification->irqs == NULL, true);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, n), ERR_GONE);
	EXPECT(INVOKE0(h, IRQ_HANDLER_ACK), OK);
	a = device(1);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, n), ERR_GONE);
	EXPECT(delete(h), OK);
}

TEST(space_without_tables_refuses_the_doorbell)
{
	uint32_t d = device(1), none = make(OBJ_IO_SPACE, 13), space = make(OBJ_IO_SPACE, 14);
	uint32_t e = make(OBJ_IO_DEVICE, 0), f = make(OBJ_FRAME, 12), g = make(OBJ_IO_DEVICE, 0);

	EXPECT(INVOKE(d, IO_DEVICE_BIND, none), ERR_NO_MEMORY);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, e, 0, 2, IO_NO_ITS, 0), OK);
	EXPECT(INVOKE(e, IO_DEVICE_BIND, none), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, none), ERR_NO_MEMORY);
	EXPECT(slot_of(d)->io_device->space == slot_of(space)->vspace, true);
	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, g, 1, 2, 1, 0), OK);
	EXPECT(INVOKE(g, IO_DEVICE_BIND, space), ERR_BUSY);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, 0x1000, RW), ERR_NO_MEMORY);
	EXPECT(INVOKE(f, FRAME_MAP_IO, space, IO_DOORBELL_IOVA - 0x1000, RW), OK);
	EXPECT(INVOKE0(space, IO_SPACE_INFO), OK);
	EXPECT(result(0), 2);
	EXPECT(result(1), 0);
	EXPECT(result(2), 4096);
}

TEST(message_interrupts_arrive)
{
	uint32_t d = device(5), h = new_slot(), n = make(OBJ_NOTIFICATION, 0), nb = new_slot();

	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, IO_EVENTS, 0, h), ERR_RANGE);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 7, 0, ROOT), ERR_SLOT_FULL);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 7, 0, h), OK);
	EXPECT(result(0), IO_DOORBELL_IOVA + 0x40);
	EXPECT(result(1), 7);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 7, 0, new_slot()), ERR_BUSY);
	EXPECT(mint(nb, n, RIGHTS_ALL, 32), OK);
	host_message(0, 5, 7);
	EXPECT(slot_of(n)->notification->bits, 0);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, nb), OK);
	host_message(0, 5, 7);
	EXPECT(slot_of(n)->notification->bits, 32);
	host_message(0, 5, 6);
	host_message(0, 4, 7);
	EXPECT(INVOKE0(h, IRQ_HANDLER_ACK), OK);
	EXPECT(delete(h), OK);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 7, 0, h), OK);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, nb), OK);
	EXPECT(revoke(d), OK);		/* handlers are derived from their device */
	EXPECT(slot_of(h)->type, OBJ_NULL);
	host_interrupt(0, LPI_FIRST);
	host_interrupt(0, LPI_FIRST + IO_DEVICES * IO_EVENTS);
	host_interrupt(0, 5000);
}

TEST(storm_of_messages_is_masked_until_acknowledged)
{
	uint32_t d = device(5), h = new_slot(), n = make(OBJ_NOTIFICATION, 0), nb = new_slot();
	struct notification *note = slot_of(n)->notification;

	EXPECT(mint(nb, n, RIGHTS_ALL, 32), OK);
	EXPECT(INVOKE(d, IO_DEVICE_GET_IRQ, 7, 0, h), OK);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, nb), OK);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < IRQ_STORM; i++)
			host_message(0, 5, 7);
		EXPECT(slot_of(d)->io_device->arch.enabled, 1u << 7);
		EXPECT(INVOKE0(h, IRQ_HANDLER_ACK), OK);
	}
	for (unsigned i = 0; i < IRQ_STORM + 50; i++)
		host_message(0, 5, 7);
	EXPECT(slot_of(d)->io_device->arch.enabled, 0);
	EXPECT(note->bits, 32);
	note->bits = 0;
	EXPECT(INVOKE0(h, IRQ_HANDLER_ACK), OK);
	EXPECT(slot_of(d)->io_device->arch.enabled, 1u << 7);
	host_message(0, 5, 7);
	EXPECT(note->bits, 32);
}

/* What a driver holds binds its device, and neither silences nor adds to what
 * its supervisor made of it. */
TEST(events_and_faults_want_the_right_to_grant)
{
	uint32_t d = device(5), n = make(OBJ_NOTIFICATION, 0), space = make(OBJ_IO_SPACE, 14), drivers = new_slot();

	EXPECT(copy(drivers, d, RIGHT_READ | RIGHT_WRITE), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND_FAULT, n), OK);
	EXPECT(INVOKE(drivers, IO_DEVICE_BIND_FAULT, 0), ERR_RIGHTS);
	EXPECT(INVOKE(drivers, IO_DEVICE_GET_IRQ, 7, 0, new_slot()), ERR_RIGHTS);
	EXPECT(INVOKE(drivers, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(drivers, IO_DEVICE_BIND, 0), OK);
}

TEST(faults_are_told_once_until_read_and_then_kept_quiet)
{
	uint32_t d = device(5), n = make(OBJ_NOTIFICATION, 0), nb = new_slot(), space = make(OBJ_IO_SPACE, 14);
	struct notification *note = slot_of(n)->notification;

	EXPECT(mint(nb, n, RIGHTS_ALL, 4), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND, space), OK);
	EXPECT(INVOKE(d, IO_DEVICE_BIND_FAULT, nb), OK);
	EXPECT(INVOKE0(d, IO_DEVICE_FAULT), OK);
	EXPECT(result(0), 0);
	EXPECT(host_dma(0, 5, 0x1234, true), 0);
	EXPECT(note->bits, 4);
	note->bits = 0;
	EXPECT(host_dma(0, 5, 0x5678, false), 0);
	EXPECT(note->bits, 0);
	EXPECT(INVOKE0(d, IO_DEVICE_FAULT), OK);
	EXPECT(result(0), 0x10);
	EXPECT(result(1), 0x5678);
	EXPECT(result(2), 0);
	EXPECT(result(3), 2);
	for (unsigned i = 0; i < 1000; i++)
		EXPECT(host_dma(0, 5, 0x9000, true), 0);
	EXPECT(note->bits, 4);
	note->bits = 0;
	EXPECT(INVOKE0(d, IO_DEVICE_FAULT), OK);
	EXPECT(result(3), 2 + 256);	/* then the SMMU was told to keep quiet */
	EXPECT(host_dma(0, 5, 0x9000, true), 0);
	EXPECT(note->bits, 4);
	EXPECT(delete(n), OK);
	EXPECT(revoke(nb), OK);
	EXPECT(delete(nb), OK);
	EXPECT(slot_of(d)->io_device->fault.notification == NULL, true);
	EXPECT(host_dma(0, 5, 0x9000, true), 0);
}

TEST(numbers_of_devices_run_out_and_come_back)
{
	uint32_t d[HOST_SMMUS * HOST_STREAMS], n = 0;

	for (uint32_t smmu = 0; smmu < HOST_SMMUS; smmu++)
		for (uint32_t s = 0; s < HOST_STREAMS; s++) {
			d[n] = make(OBJ_IO_DEVICE, 0);
			EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d[n++], smmu, s, smmu, s), OK);
		}
	EXPECT(slot_of(d[0])->io_device->number != slot_of(d[1])->io_device->number, true);
	for (unsigned i = 0; i < n; i++)
		EXPECT(delete(d[i]), OK);
	for (unsigned i = 0; i < IO_DEVICES; i++)
		EXPECT(io_devices[i] == NULL, true);
}
