/* SPDX-License-Identifier: MIT */
/*
 * Device registers.  Frames of devices are mapped Device-nGnRE, so accesses to
 * one device stay in order among themselves (Arm ARM DDI 0487 B2.7.2).  Tests
 * on the build host put a header of the same name, which leads to a register
 * model, before this one.
 */
#ifndef DRIVER_MMIO_H
#define DRIVER_MMIO_H

#include <stdint.h>

static inline uint32_t
mmio_read32(uintptr_t address)
{
	return *(const volatile uint32_t *)address;
}

static inline void
mmio_write32(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline uint16_t
mmio_read16(uintptr_t address)
{
	return *(const volatile uint16_t *)address;
}

static inline void
mmio_write16(uintptr_t address, uint16_t value)
{
	*(volatile uint16_t *)address = value;
}

static inline uint8_t
mmio_read8(uintptr_t address)
{
	return *(const volatile uint8_t *)address;
}

static inline void
mmio_write8(uintptr_t address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

#endif
