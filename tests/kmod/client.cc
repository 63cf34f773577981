// SPDX-License-Identifier: Apache-2.0

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

namespace kmod_test {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() { Close(); }

void Fd::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

uint32_t Crc32c(const void* bytes, size_t length) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
      made[i] = crc;
    }
    return made;
  }();
  uint32_t crc = ~0u;
  const auto* byte = static_cast<const uint8_t*>(bytes);
  while (length--) crc = table[(crc ^ *byte++) & 0xff] ^ crc >> 8;
  return ~crc;
}

namespace {

std::string Where(uint64_t number, const crfs_record& record) {
  return "record " + std::to_string(number) + " (type " + std::to_string(record.type) + ", id " +
         std::to_string(record.id) + "): ";
}

// Offsets of the bytes rows of each type, in order, within the struct.
const std::map<uint32_t, std::pair<uint32_t, std::vector<size_t>>>& Layouts() {
  static const auto layouts = [] {
    std::map<uint32_t, std::pair<uint32_t, std::vector<size_t>>> made;
#define BYTES_u32(o, f)
#define BYTES_s32(o, f)
#define BYTES_u64(o, f)
#define BYTES_s64(o, f)
#define BYTES_ref(o, f)
#define BYTES_none(o, f)
#define BYTES_bytes(o, f) rows.push_back(offsetof(struct crfs_##o, f));
#define BYTES_ROW(o, wire, f, ...) BYTES_##wire(o, f)
#define LAYOUT(name, tag, ...)                                  \
  {                                                             \
    std::vector<size_t> rows;                                   \
    CRFS_ROWS_##name(BYTES_ROW) made[tag] = {sizeof(crfs_##name), rows}; \
  }
    CRFS_OBJECTS(LAYOUT)
    return made;
  }();
  return layouts;
}

// The canonical layout of an object's body.
std::string CheckBody(uint32_t type, std::string_view body) {
  const auto& [size, rows] = Layouts().at(type);
  crfs_body head;
  if (body.size() < sizeof(head) + size) return "body too short";
  memcpy(&head, body.data(), sizeof(head));
  if (head.fixed != size || head.zero != 0) return "wrong head of the body";
  size_t end = sizeof(head) + size;
  for (size_t row : rows) {
    crfs_bytes bytes;
    memcpy(&bytes, body.data() + sizeof(head) + row, sizeof(bytes));
    if (bytes.length == 0 && bytes.offset == 0) continue;
    if (bytes.length == 0 || bytes.offset != end) return "bytes row not where the one before ends";
    end += bytes.length;
  }
  return end == body.size() ? "" : "the tail is longer than its rows";
}

std::string AddExtents(Stream& stream, std::string_view body,
                       std::pair<uint32_t, uint64_t>* last_owner) {
  crfs_extents head;
  if (body.size() < sizeof(head)) return "extents too short";
  memcpy(&head, body.data(), sizeof(head));
  if (head.count == 0 || head.count > CRFS_EXTENTS_MAX ||
      body.size() != sizeof(head) + head.count * sizeof(crfs_extent))
    return "wrong count of extents";
  std::pair<uint32_t, uint64_t> owner{head.owner_type, head.owner_id};
  if (owner < *last_owner) return "owners do not ascend";
  auto& extents = stream.extents[owner];
  if (owner == *last_owner && extents.size() % CRFS_EXTENTS_MAX != 0)
    return "an extents record that is not the last is not full";
  *last_owner = owner;
  for (uint32_t i = 0; i < head.count; i++) {
    crfs_extent extent;
    memcpy(&extent, body.data() + sizeof(head) + i * sizeof(extent), sizeof(extent));
    if (extent.length == 0 || extent.offset % 4096 != 0 || extent.length % 4096 != 0)
      return "an extent that is not of whole pages";
    if (!extents.empty() && extent.offset <= extents.back().offset + extents.back().length)
      return "extents that touch, overlap or descend";
    extents.push_back({extent.offset, extent.length});
    stream.memory += extent.length;
  }
  return "";
}

}  // namespace

Stream Parse(std::string_view bytes) {
  Stream stream;
  std::pair<uint32_t, uint64_t> last{0, 0}, last_owner{0, 0};
  while (!bytes.empty()) {
    crfs_record record;
    if (bytes.size() < sizeof(record)) return stream.error = "torn header", stream;
    memcpy(&record, bytes.data(), sizeof(record));
    std::string where = Where(stream.records, record);
    if (record.header_crc != Crc32c(&record, offsetof(crfs_record, header_crc)))
      return stream.error = where + "header crc", stream;
    uint64_t padded = sizeof(record) + (record.length + 7) / 8 * 8;
    if (record.length > CRFS_RECORD_BODY_MAX || padded > bytes.size())
      return stream.error = where + "length", stream;
    std::string_view body = bytes.substr(sizeof(record), record.length);
    if (record.body_crc != Crc32c(body.data(), body.size()))
      return stream.error = where + "body crc", stream;
    for (char c : bytes.substr(sizeof(record) + record.length, padded - sizeof(record) - record.length))
      if (c != 0) return stream.error = where + "padding", stream;
    if (record.flags != 0) return stream.error = where + "flags", stream;
    uint64_t expected = record.type == last.first ? last.second + 1 : 1;
    if (record.type < last.first || record.id != expected)
      return stream.error = where + "order", stream;
    last = {record.type, record.id};
    std::string error;
    if (record.type == CRFS_RECORD_EXTENTS) {
      error = AddExtents(stream, body, &last_owner);
    } else if (!crfs_tag_known(record.type) || record.type == CRFS_TAG_checkpoint ||
               record.type == CRFS_TAG_ns) {
      error = "unexpected type";
    } else {
      error = CheckBody(record.type, body);
      stream.objects[record.type].push_back({record.id, std::string(body)});
    }
    if (!error.empty()) return stream.error = where + error, stream;
    stream.records++;
    bytes.remove_prefix(padded);
  }
  return stream;
}

Checkpoint::Checkpoint() {
  Fd device(open(CRFS_DEVICE_PATH, O_RDWR | O_CLOEXEC));
  crfs_ioc_checkpoint args{sizeof(args), 0};
  if (device.ok()) fd_ = Fd(ioctl(device.get(), CRFS_IOC_CHECKPOINT, &args));
}

int Checkpoint::FreezeWith(pid_t pid, int mem_fd, uint32_t timeout_ms) {
  freeze = {};
  freeze.size = sizeof(freeze);
  freeze.pid = static_cast<uint32_t>(pid);
  freeze.mem_fd = mem_fd;
  freeze.timeout_ms = timeout_ms;
  return ioctl(fd_.get(), CRFS_IOC_FREEZE, &freeze) < 0 ? -errno : 0;
}

int Checkpoint::Freeze(pid_t pid, uint32_t timeout_ms) {
  Fd mem(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem.ok()) return -errno;
  return FreezeWith(pid, mem.get(), timeout_ms);
}

int Checkpoint::Capture() {
  capture = {};
  capture.size = sizeof(capture);
  return ioctl(fd_.get(), CRFS_IOC_CAPTURE, &capture) < 0 ? -errno : 0;
}

int Checkpoint::Read(std::string* bytes) {
  bytes->resize(capture.bytes);
  size_t done = 0;
  while (done < bytes->size()) {
    ssize_t n = read(fd_.get(), bytes->data() + done, bytes->size() - done);
    if (n < 0) return -errno;
    if (n == 0) return -EPIPE;
    done += static_cast<size_t>(n);
  }
  char more;
  return read(fd_.get(), &more, 1) == 0 ? 0 : -EOVERFLOW;
}

Fd Checkpoint::Memory(uint32_t type, uint64_t id, int* error) {
  crfs_ioc_memory args{};
  args.size = sizeof(args);
  args.owner_type = type;
  args.owner_id = id;
  int fd = ioctl(fd_.get(), CRFS_IOC_MEMORY, &args);
  if (error) *error = fd < 0 ? errno : 0;
  return Fd(fd);
}

int Checkpoint::Thaw() {
  thaw = {};
  thaw.size = sizeof(thaw);
  return ioctl(fd_.get(), CRFS_IOC_THAW, &thaw) < 0 ? -errno : 0;
}

Stream Take(Checkpoint& checkpoint, const std::vector<pid_t>& pids) {
  Stream failed;
  for (pid_t pid : pids) {
    int error = checkpoint.Freeze(pid);
    if (error)
      return failed.error = "freeze " + std::to_string(pid) + ": " + strerror(-error) + ", tid " +
                            std::to_string(checkpoint.freeze.tid),
             failed;
  }
  int error = checkpoint.Capture();
  if (error)
    return failed.error = std::string("capture: ") + strerror(-error) + ", pid " +
                          std::to_string(checkpoint.capture.pid),
           failed;
  std::string bytes;
  error = checkpoint.Read(&bytes);
  if (error) return failed.error = std::string("read: ") + strerror(-error), failed;
  Stream stream = Parse(bytes);
  if (stream.error.empty() && (stream.records != checkpoint.capture.records ||
                               stream.memory != checkpoint.capture.memory))
    stream.error = "capture's totals do not agree with the records";
  return stream;
}

}  // namespace kmod_test
