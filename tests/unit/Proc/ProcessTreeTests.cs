using System.Text;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcessTreeTests
{
    [Fact]
    public void Parents_come_before_their_children_by_ascending_pid()
    {
        ProcessTree tree = Tree((1, 0), (30, 1), (4, 30), (2, 0), (20, 1), (5, 30));

        Assert.Equal([(1, 0), (20, 1), (30, 1), (4, 2), (5, 2), (2, 0)], tree.Walk());
    }

    [Fact]
    public void A_part_of_the_tree_starts_at_depth_zero()
    {
        ProcessTree tree = Tree((1, 0), (30, 1), (4, 30), (2, 0), (20, 1), (5, 30));

        Assert.Equal([(30, 0), (4, 1), (5, 1)], tree.Walk([30]));
        Assert.Equal([(2, 0), (30, 0), (4, 1), (5, 1)], tree.Walk([2, 5, 30, 99]));
        Assert.Empty(tree.Walk([99]));
        Assert.Empty(tree.Walk([]));
    }

    [Fact]
    public void A_parent_that_is_not_seen_makes_a_root() => Assert.Equal([(7, 0), (8, 1)], Tree((8, 7), (7, 99)).Walk());

    [Fact]
    public void Processes_that_are_each_others_ancestors_are_told_once()
    {
        ProcessTree tree = Tree((1, 0), (5, 6), (6, 5), (7, 7), (8, 6));

        Assert.Equal([(1, 0), (7, 0), (5, 0), (6, 1), (8, 2)], tree.Walk());
        Assert.Equal([(6, 0), (5, 1), (8, 1)], tree.Walk([6, 5]));
    }

    [Fact]
    public void Any_parents_give_every_process_once_and_behind_its_parent()
    {
        var random = new Random(3);
        for (int round = 0; round < 300; round++)
        {
            int count = random.Next(1, 60);
            (int Pid, int Parent)[] processes = [.. Enumerable.Range(1, count).Select(pid => (pid, random.Next(0, count + 5)))];
            List<(int Pid, int Depth)> walk = [.. Tree(processes).Walk()];

            Assert.Equal(Enumerable.Range(1, count), walk.Select(p => p.Pid).Order());
            foreach ((int pid, int depth) in walk.Where(p => p.Depth > 0))
            {
                Assert.Contains((processes[pid - 1].Parent, depth - 1), walk.TakeWhile(p => p.Pid != pid));
            }
        }
    }

    [Fact]
    public void A_deep_tree_needs_no_deep_stack()
    {
        const int Depth = 200_000;
        ProcessTree tree = Tree([.. Enumerable.Range(1, Depth).Select(pid => (pid, pid - 1))]);

        Assert.Equal((Depth, Depth - 1), tree.Walk().Last());
    }

    [Theory]
    [InlineData(new[] { "/bin/cat", "a b", "" }, "/bin/cat 'a b' ''")]
    [InlineData(new[] { "it's", "$x", "a\nb", "--x=1" }, @"'it'\''s' '$x' 'a\nb' --x=1")]
    [InlineData(new string[0], "")]
    public void Arguments_in_one_line(string[] arguments, string line) =>
        Assert.Equal(line, ProcessTree.Line([.. arguments.Select(a => new OsText(a))]));

    [Theory]
    [InlineData("/tmp/a:b", "file")]
    [InlineData("socket:[12]", "socket")]
    [InlineData("pipe:[12]", "pipe")]
    [InlineData("anon_inode:[eventpoll]", "eventpoll")]
    [InlineData("anon_inode:inotify", "inotify")]
    [InlineData("net:[4026531833]", "net")]
    public void Kinds_of_descriptors(string target, string kind) => Assert.Equal(kind, ProcessDescriptor.KindOf(target));

    [Fact]
    public void A_live_process_is_described()
    {
        using var child = new HostileChild();
        ProcessTree tree = ProcessTree.Read();
        ProcessNode node = tree.Describe(child.Pid, 3, detailed: true)!;

        Assert.Contains((child.Pid, 1), tree.Walk([Environment.ProcessId]));
        Assert.Equal(("a) R 1 (", Environment.ProcessId, 3, 2), (node.Name, node.ParentId, node.Depth, node.Threads));
        Assert.Equal("      a) R 1 (", node.IndentedName);
        Assert.Equal([child.Pid, child.Number("tid")], node.ThreadIds);
        Assert.EndsWith("hostile_names", node.Executable, StringComparison.Ordinal);
        Assert.Equal((child.Workplace, false), (node.WorkingDirectory, node.DetailsDenied));
        Assert.Equal("rw-s", node.Mappings!.Single(m => m.Start == child.Address("map-newline")).Permissions);
        ProcessDescriptor descriptor = node.Descriptors!.Single(d => d.Number == child.Number("fd-newline"));
        Assert.Equal(("file", Path.Combine(child.Workplace, "a\nb\\c")), (descriptor.Kind, descriptor.Target));
        Assert.Equal(OpenFlags.ReadWrite | OpenFlags.Append, descriptor.Flags);
        Assert.EndsWith(@"a\nb\c", descriptor.DisplayTarget, StringComparison.Ordinal);
        Assert.InRange(DateTime.Now - node.StartTime, TimeSpan.FromSeconds(-2), TimeSpan.FromMinutes(10));
        Assert.True(node.Resident > 0 && node.VirtualSize > node.Resident);
        Assert.Null(tree.Describe(child.Pid, 0, detailed: false)!.Mappings);
    }

    [Fact]
    public void A_process_that_has_ended_is_left_out()
    {
        using var child = new HostileChild();
        ProcessTree tree = ProcessTree.Read();
        child.End();

        Assert.True(tree.Contains(child.Pid));
        Assert.Null(tree.Describe(child.Pid, 0, detailed: true));
        Assert.False(ProcessTree.Read().Contains(child.Pid));
    }

    [Fact]
    public void Every_process_of_the_machine_can_be_described()
    {
        ProcessTree tree = ProcessTree.Read();
        List<ProcessNode> nodes = [.. tree.Walk().Select(p => tree.Describe(p.Pid, p.Depth, detailed: true)).OfType<ProcessNode>()];

        Assert.Contains(nodes, node => node.Id == Environment.ProcessId && node.Mappings!.Count > 100 && node.Descriptors!.Count > 3);
        Assert.DoesNotContain(nodes, node => node.State == ProcessState.Unknown);
    }

    private static ProcessTree Tree(params (int Pid, int Parent)[] processes)
    {
        const string Others = "0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0";
        return new ProcessTree(
            processes.Select(p => ProcStat.Parse(Encoding.UTF8.GetBytes($"{p.Pid} (x) S {p.Parent} {Others}"))),
            DateTimeOffset.UnixEpoch);
    }
}
