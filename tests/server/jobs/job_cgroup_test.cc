// On a folder that looks like a control group: what a kernel does with it is not tested here.
#include "server/jobs/job_cgroup.h"

#include <sys/xattr.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/temporary_folder.h"

namespace hone {
namespace {

using testing::HasSubstr;

class JobCgroupTest : public testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(own_ + file).parent_path());
    std::ofstream(own_ + file) << text;
  }
  std::string Read(const std::string& file) {
    std::ifstream in(own_ + file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // What systemd and the kernel make.
  void SetUp() override {
    Write("/cgroup.controllers", "cpu memory pids\n");
    Write("/cgroup.subtree_control", "");
    Write("/server/cgroup.procs", "");
    for (const char* file : {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cgroup.procs"})
      Write(std::string("/job-7/") + file, "");
  }
  void Delegate() {
    if (setxattr(own_.c_str(), "user.delegate", "1", 1, 0) != 0)
      GTEST_SKIP() << "no attributes of files here";
  }

  const TemporaryFolder folder_;
  const std::string own_ = folder_.path() + "/hone-server.service";
};

TEST_F(JobCgroupTest, AGroupThatNobodyHandedOverIsLeftAlone) {
  EXPECT_THAT(std::string(JobCgroups::Open(own_).status().message()), HasSubstr("is not delegated"));
  EXPECT_THAT(std::string(JobCgroups::Open("").status().message()), HasSubstr("no cgroup v2 hierarchy"));
  EXPECT_EQ(Read("/server/cgroup.procs"), "");
}

TEST_F(JobCgroupTest, AControllerIsWanting) {
  Delegate();
  Write("/cgroup.controllers", "cpu pids\n");
  EXPECT_THAT(std::string(JobCgroups::Open(own_).status().message()), HasSubstr("no controller memory"));
}

TEST_F(JobCgroupTest, AChildIsBounded) {
  Delegate();
  const auto cgroups = JobCgroups::Open(own_);
  ASSERT_TRUE(cgroups.ok()) << cgroups.status();
  EXPECT_EQ(Read("/server/cgroup.procs"), "0");
  EXPECT_EQ(Read("/cgroup.subtree_control"), "+memory +pids");
  const auto group = cgroups->Add(7, 1'000'000, 64);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(Read("/job-7/memory.max"), "1000000");
  EXPECT_EQ(Read("/job-7/memory.swap.max"), "0");
  EXPECT_EQ(Read("/job-7/memory.oom.group"), "1");
  EXPECT_EQ(Read("/job-7/pids.max"), "64");
  EXPECT_EQ(Read("/job-7/cgroup.procs"), "7");
}

}  // namespace
}  // namespace hone
