/* SPDX-License-Identifier: MIT */
/*
 * Devices and what they may reach: IOControl, IODevice, IOSpace.
 *
 * An IODevice sees at most one IOSpace, and an IOSpace is seen by any number of
 * IODevices, which it lists.  Either end's death unbinds.  Frames are mapped in
 * an IOSpace as in a VSpace (frame.c).
 */
#include <kernel/core.h>

enum { QUIET_AFTER = 256 };	/* faults that nobody looked at: then no more are taken */

struct io_device *io_devices[IO_DEVICES];

/* ---- binding ---------------------------------------------------------------- */

/* The device sees nothing any more, and none of its DMA is in flight. */
void
io_device_unbind(struct io_device *d)
{
	struct io_device **link;

	if (d->space == NULL)
		return;
	arch_io_device_unbind(d);
	for (link = &d->space->devices; *link != d; link = &(*link)->next)
		;
	*link = d->next;
	d->next = NULL;
	d->space = NULL;
}

/* No capability is left.  Handlers of its interrupts may be: they have no cause now. */
enum error
io_device_destroy(struct io_device *d)
{
	if (d->number == 0)
		return OK;
	io_device_unbind(d);
	irq_unbind(&d->fault);
	for (unsigned i = 0; i < IO_EVENTS; i++) {
		if (d->event[i].intid == 0)
			continue;
		irq_unbind(&d->event[i]);
		arch_lpi_unmap(d, i);
		d->event[i].intid = 0;
		if (preemption_point())
			return RESTART;
	}
	arch_io_device_release(d);
	io_devices[d->number] = NULL;
	d->number = 0;
	return OK;
}

/* No device sees it from the first step on, so nothing is left to invalidate. */
enum error
io_space_destroy(struct vspace *v)
{
	while (v->devices != NULL) {
		io_device_unbind(v->devices);
		if (preemption_point())
			return RESTART;
	}
	v->disabled = 1;
	while (v->mappings != NULL) {
		frame_unmap_all(v->mappings);
		if (preemption_point())
			return RESTART;
	}
	return OK;
}

/* ---- faults ------------------------------------------------------------------- */

static bool
is_stream(const struct io_device *d, uint32_t smmu, uint32_t stream)
{
	return d != NULL && d->smmu == smmu && d->stream == stream;
}

/* Faults come in crowds: where the last one was is looked first. */
static struct io_device *
device_of_stream(uint32_t smmu, uint32_t stream)
{
	static unsigned last;

	if (is_stream(io_devices[last], smmu, stream))
		return io_devices[last];
	for (last = IO_DEVICES - 1; last > 0; last--)
		if (is_stream(io_devices[last], smmu, stream))
			break;
	return io_devices[last];	/* 0 is nobody's */
}

void
kernel_io_fault(uint32_t smmu, uint32_t stream, uint32_t kind, uint64_t address, bool write)
{
	struct io_device *d = device_of_stream(smmu, stream);

	if (d == NULL)
		return;
	d->fault_kind = kind;
	d->fault_address = address;
	d->fault_write = write;
	d->faults++;
	if (d->unread++ == 0 && d->fault.notification != NULL)
		notification_signal(d->fault.notification, d->fault.badge);
	if (d->unread % QUIET_AFTER == 0 && d->space != NULL)
		arch_io_device_quiet(d, true);
}

/* ---- invocations ---------------------------------------------------------------- */

/* A number for the device, if what it shall be is nobody else's. */
static enum error
find_number(uint32_t smmu, uint32_t stream, uint32_t its, uint32_t device, uint32_t *number)
{
	*number = 0;
	for (uint32_t i = IO_DEVICES - 1; i > 0; i--) {
		const struct io_device *d = io_devices[i];

		if (d == NULL)
			*number = i;
		else if (d->smmu == smmu && d->stream == stream)
			return ERR_BUSY;
		else if (its != IO_NO_ITS && d->its == its && d->device == device)
			return ERR_BUSY;
	}
	return *number != 0 ? OK : ERR_LIMIT;
}

enum error
io_control_assign(struct thread *caller, struct slot *self, struct slot *io_device, uint64_t smmu,
	uint64_t stream, uint64_t its, uint64_t device)
{
	struct io_device *d = io_device->io_device;
	uint32_t number;
	enum error e;

	(void)caller;
	(void)self;
	if (d->number != 0)
		return ERR_STATE;
	if (smmu > UINT32_MAX || stream > UINT32_MAX || its > UINT32_MAX || device > UINT32_MAX)
		return ERR_RANGE;
	e = find_number((uint32_t)smmu, (uint32_t)stream, (uint32_t)its, (uint32_t)device, &number);
	if (e != OK)
		return e;

	d->number = number;
	d->smmu = (uint32_t)smmu;
	d->stream = (uint32_t)stream;
	d->its = (uint32_t)its;
	d->device = (uint32_t)device;
	e = arch_io_device_assign(d);
	if (e != OK) {
		d->number = 0;
		return e;
	}
	d->fault.obj.refs = 1;		/* of its own device */
	d->fault_kind = d->fault_write = 0;
	d->fault_address = d->faults = d->unread = 0;
	io_devices[number] = d;
	return OK;
}

enum error
io_device_bind(struct thread *caller, struct slot *self, struct slot *io_space)
{
	struct io_device *d = self->io_device;
	struct vspace *v;
	enum error e;

	(void)caller;
	if (d->number == 0)
		return ERR_STATE;
	if (io_space == NULL) {
		io_device_unbind(d);
		return OK;
	}
	v = io_space->vspace;
	if (io_space->badge != 0)
		return ERR_RIGHTS;
	if (v->disabled)
		return ERR_STATE;
	if (d->space == v)
		return OK;
	e = d->its != IO_NO_ITS ? arch_io_space_doorbell(v, d->its) : OK;
	if (e != OK)
		return e;

	io_device_unbind(d);
	d->space = v;
	d->next = v->devices;
	v->devices = d;
	arch_io_device_bind(d);
	return OK;
}

enum error
io_device_get_irq(struct thread *caller, struct slot *self, uint64_t event, struct cnode *cnode,
	uint64_t index)
{
	struct io_device *d = self->io_device;
	uint32_t lpi;
	enum error e;

	if (d->number == 0 || d->its == IO_NO_ITS)
		return ERR_STATE;
	if (event >= IO_EVENTS)
		return ERR_RANGE;
	lpi = LPI_FIRST + d->number * IO_EVENTS + (uint32_t)event;
	e = irq_give(self, cnode, index, &d->event[event], lpi);
	if (e != OK)
		return e;
	arch_lpi_map(d, (uint32_t)event, lpi);
	result_word(caller, 0, IO_DOORBELL_IOVA + arch_doorbell_offset());
	result_word(caller, 1, event);
	return OK;
}

enum error
io_device_bind_fault(struct thread *caller, struct slot *self, struct slot *notification)
{
	struct io_device *d = self->io_device;

	if (d->number == 0)
		return ERR_STATE;
	irq_unbind(&d->fault);
	if (notification != NULL)
		irq_bind(&d->fault, notification, caller->cpu);
	return OK;
}

enum error
io_device_fault(struct thread *caller, struct slot *self)
{
	struct io_device *d = self->io_device;

	if (d->number == 0)
		return ERR_STATE;
	arch_io_poll();
	if (d->unread >= QUIET_AFTER && d->space != NULL)
		arch_io_device_quiet(d, false);
	d->unread = 0;
	result_word(caller, 0, d->fault_kind);
	result_word(caller, 1, d->fault_address);
	result_word(caller, 2, d->fault_write);
	result_word(caller, 3, d->faults);
	return OK;
}

enum error
io_space_info(struct thread *caller, struct slot *self)
{
	return vspace_info(caller, self);
}
