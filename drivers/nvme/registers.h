/* SPDX-License-Identifier: MIT */
/*
 * What an NVM Express controller looks like (NVM Express 1.4): registers, queue entries,
 * commands and the parts of data structures that this driver reads.
 */
#ifndef NVME_REGISTERS_H
#define NVME_REGISTERS_H

#include <stdint.h>

/* Registers, §3.1 */
enum { NVME_CAP = 0x00, NVME_VS = 0x08, NVME_INTMS = 0x0c, NVME_CC = 0x14, NVME_CSTS = 0x1c, NVME_AQA = 0x24,
	NVME_ASQ = 0x28, NVME_ACQ = 0x30, NVME_DOORBELLS = 0x1000 };

/* CAP, §3.1.1 */
#define CAP_MQES(cap)	((uint32_t)((cap) & 0xffff) + 1)	/* entries of a queue, at most */
#define CAP_TO(cap)	((uint32_t)((cap) >> 24 & 0xff))	/* 500 ms units */
#define CAP_DSTRD(cap)	((uint32_t)((cap) >> 32 & 0xf))
#define CAP_CSS_NVM(cap) ((cap) >> 37 & 1)
#define CAP_MPSMIN(cap)	((uint32_t)((cap) >> 48 & 0xf))

/* CC, §3.1.5, and CSTS, §3.1.6 */
enum { CC_EN = 1, CC_IOSQES_64 = 6 << 16, CC_IOCQES_16 = 4 << 20,
	CC_WANTED = CC_IOCQES_16 | CC_IOSQES_64 | CC_EN };	/* 4 KiB pages, NVM command set, round robin */
enum { CSTS_RDY = 1, CSTS_CFS = 2 };

/* Submission queue entry, §4.2 */
struct nvme_sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_sqe) == 64, "NVMe 1.4 figure 105");

/* Completion queue entry, §4.6 */
struct nvme_cqe {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid, status;		/* bit 0 of status is the phase tag */
};
_Static_assert(sizeof(struct nvme_cqe) == 16, "NVMe 1.4 figure 122");

/* Status field without the phase tag, §4.6.1 */
#define STATUS_CODE(s)	((s) & 0xff)
#define STATUS_TYPE(s)	((s) >> 8 & 7)
#define STATUS_DNR(s)	((s) >> 14 & 1)		/* do not retry */
enum { TYPE_GENERIC = 0, TYPE_COMMAND = 1, TYPE_MEDIA = 2, TYPE_PATH = 3 };
enum { GENERIC_OPCODE = 0x01, GENERIC_FIELD = 0x02, GENERIC_ABORTED = 0x07, GENERIC_NAMESPACE = 0x0b,
	GENERIC_PROTECTED = 0x20, GENERIC_RANGE = 0x80, COMMAND_READONLY = 0x82 };

/* Admin commands, §5, and what is asked with them */
enum { ADMIN_CREATE_SQ = 0x01, ADMIN_GET_LOG = 0x02, ADMIN_CREATE_CQ = 0x05, ADMIN_IDENTIFY = 0x06,
	ADMIN_ABORT = 0x08, ADMIN_SET_FEATURES = 0x09, ADMIN_ASYNC_EVENT = 0x0c };
enum { CNS_NAMESPACE = 0, CNS_CONTROLLER = 1, CNS_ACTIVE_LIST = 2 };
enum { FEATURE_QUEUES = 0x07, FEATURE_EVENTS = 0x0b };
enum { LOG_ERRORS = 0x01, LOG_HEALTH = 0x02, LOG_FIRMWARE = 0x03, LOG_CHANGED_NAMESPACES = 0x04 };
enum { EVENTS_HEALTH = 0x1f, EVENTS_NAMESPACES = 1 << 8 };
enum { QUEUE_CONTIGUOUS = 1, QUEUE_INTERRUPTS = 2 };

/* I/O commands, §6 */
enum { IO_FLUSH = 0x00, IO_WRITE = 0x01, IO_READ = 0x02, IO_WRITE_ZEROES = 0x08, IO_DATASET = 0x09 };
enum { DATASET_DEALLOCATE = 1 << 2 };
#define IO_FUA	(1u << 30)

/* Identify Controller, figure 247: byte offsets */
enum { ID_SERIAL = 4, ID_MODEL = 24, ID_FIRMWARE = 64, ID_MDTS = 77, ID_AERL = 259, ID_SQES = 512, ID_CQES = 513,
	ID_NN = 516, ID_ONCS = 520, ID_VWC = 525 };
enum { ONCS_DATASET = 1 << 2, ONCS_WRITE_ZEROES = 1 << 3 };

/* Identify Namespace, figure 245 */
enum { NS_SIZE = 0, NS_FEATURES = 24, NS_FORMATS = 25, NS_FORMAT = 26, NS_NPWG = 64, NS_ATTRIBUTES = 99,
	NS_LBAF = 128 };
enum { NS_HAS_NPWG = 1 << 4, NS_WRITE_PROTECTED = 1 };

/* SMART / Health Information, figure 194 */
enum { HEALTH_WARNING = 0, HEALTH_TEMPERATURE = 1, HEALTH_SPARE = 3, HEALTH_SPARE_THRESHOLD = 4, HEALTH_USED = 5,
	HEALTH_HOURS = 128, HEALTH_UNSAFE = 144, HEALTH_MEDIA_ERRORS = 160, HEALTH_BYTES = 512 };

#endif
